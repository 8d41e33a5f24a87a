"""API keys, and whose an idempotency key is."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("sagas", "0008_spare_indexes"),
    ]

    operations = [
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=64)),
                ("prefix", models.CharField(max_length=12, unique=True)),
                ("digest", models.CharField(max_length=64)),
                ("scopes", models.CharField(max_length=100)),
                ("created_at", models.DateTimeField()),
                ("created_by", models.CharField(max_length=200)),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_by", models.CharField(blank=True, default="", max_length=200)),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name": "API key",
                "ordering": ["-id"],
                "permissions": [("manage_api_keys", "Can make and revoke API keys")],
                "default_permissions": (),
            },
        ),
        migrations.AddField(
            model_name="saga",
            name="client",
            field=models.CharField(blank=True, db_default="", default="", max_length=200),
        ),
    ]
