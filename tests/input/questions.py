"""Odd addresses and parameters."""

LONG = "x" * 3000

# Each alone at the lists, and all together wherever they can be.
QUERIES = f"""
p=0 p=-1 p=1e9 p=99999999999999999999 p=x p=%FF o=1 o=99 o=-99.x. o=1.1.1.-1 o={"1." * 999}
q={LONG} q=%25_ q='"%5C q=%F0%9F%92%A9 q=%ED%A0%80 q=((( q=%3Cscript%3E q=+ e=1 e=x
all= all=x _facets=1 _facets=x _popup=1 _popup=x _to_field=id _to_field=password _to_field=nope
status__exact=nope status__exact=%FF status__nope=1 status__in=,,, status__isnull= type={LONG}
direction__exact=1 in_doubt__exact=x in_doubt__exact=2 in_doubt__isnull=x
created_at__gte=nope created_at__gte=2026-13-99 created_at__lt=0001-01-01 created_at__gte=
created_at__gte=9999-12-31T23:59:59-14:00 created_at__gte=0001-01-01T00:00:00%2B14:00
created_at__year=x created_at__year=0 created_at__year=-1 created_at__year=99999999999
created_at__month=1e9 created_at__day=99 created_at__date=x created_at__week_day=9
created_at__isnull=maybe created_at__gte__lt=1 created_at__regex=( created_at=x
id__exact=nope id=nope pk=1 id__in=a,b id__in= pk__in= pk__exact=%FF id__isnull=2
epoch=99999999999999999999999 epoch__gt=x epoch__exact=1e400 run__exact=1 seq=1e400 seq=%D9%A1
data__a=1 data__x__y__z=1 data__contains=[ data__has_key=x data__regex=( data__exact=%7B
steps__output__a__0=1 steps__effect=x steps__regex=( events__kind=x events__data__contains=%7B
type__regex=( type__iregex=[ type__regex=(a%2B)%2B$ type__search=x type__trigram_similar=x
username__exact=x username__regex=( username__iregex=%5C username__exact={LONG} name__regex=(
is_staff__exact=x is_active__exact=None is_superuser__exact=1&is_superuser__exact=x
groups__id__exact=x groups__id__exact=99999999999999999999 groups__exact=x groups__in=x
id__exact=99999999999999999999 id__exact=-1 id__exact=1.5 last_login__gte=x date_joined__year=0
date_joined__year=-1 date_joined__gte=x password__startswith=p password__gte=p user__password=x
user__id=x permissions__codename=x user_permissions__codename__startswith=a logentry__id=x
app_label=auth&model_name=user&field_name=groups&term=x app_label=x app_label=%FF
action=delete_selected _selected_action=x s=x extended=1 next=//evil.example next=javascript:x
_changelist_filters=p%3Dx _changelist_filters=%FF opts=x __class__=1 _=1 =1 %FF=%FF %5B%5D=x
idempotency_key__isnull=2 reason__regex=( owner__contains=x date_hierarchy=x language=../../x
created_at__year__gte=0 created_at__hour=99 deadline__year=0
""".split()
NUL = ["q=%00", "p=%00", "username__exact=%00", "status__exact=a%00", "%00=1", "e=%00", "next=%00"]

ODD_IDS = [
    "nope",
    "0",
    "-1",
    "99999999999999999999",
    "1.5",
    "%FF",
    "%ED%A0%80",
    "%27",
    "_5F",
    "_00",
    "a_2Fb",
    "{known}x",
    "{known}%0a",
    "01234567-89ab-cdef-0123-456789abcdef",
]

# Paths of the API and beside it where nothing is.
MISSING = [
    "/api",
    "/api/v1",
    "/api/v2/sagas",
    "/api/v1/sagas/",
    "//api/v1/sagas",
    "/api//v1/sagas",
    "/api/v1/../v1/sagas",
    "/API/v1/sagas",
    "/../../etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/static/../manage.py",
    "/static/%2e%2e/x",
    "/static/..%2fmanage.py",
    "/static/..%5cmanage.py",
    "/static//etc/passwd",
    "/static/",
    "/static",
    "/saga",
    "/saga-orchestrator",
    "/saga-orchestrator//health",
    "/saga/saga/health",
    "/%",
    "/%zz",
    "/%2",
    "/%FF",
    "/%0d%0aX:%201",
    "//evil.example",
    "/health/",
    "/health%20",
    "/metrics/",
    "/api-docs/",
    "/.git/config",
    "/.env",
    "/server-status",
    "/api/v1/sagas/nope",
    "/api/v1/sagas/%ff%fe",
    "/api/v1/sagas/1",
    "/api/v1/sagas/-1",
    "/api/v1/sagas/null",
    "/api/v1/sagas/{id}",
    "/api/v1/sagas/*",
    "/api/v1/sagas/'",
    "/api/v1/sagas/%27%20OR%201=1",
]
