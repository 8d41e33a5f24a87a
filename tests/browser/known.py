"""What both the service under test and the browser's tests know."""

PASSWORD = "correct horse battery"

ROLES = {
    "viewer": "viewer",
    "operator": "operator",
    "colleague": "operator",
    "administrator": "administrator",
    "root": "",  # a superuser
}
"""Names of users, and the group of each."""

EVIL = "\"'><img src=x onerror=window.__xss=1>"
SCRIPT = (
    f"<script>window.__xss=2</script>{EVIL}<svg onload=window.__xss=3>"
    "<a href=\"javascript:window.__xss=4\">click</a>{{ 7*7 }}{% now 'Y' %}"
)
