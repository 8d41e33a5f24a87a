from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("sagas", "0003_console_list"),
    ]

    operations = [
        migrations.CreateModel(
            name="Tally",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("start", models.PositiveBigIntegerField()),
                ("type", models.CharField(max_length=100)),
                ("status", models.CharField(max_length=16)),
                ("number", models.PositiveIntegerField()),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("start", "type", "status"), name="tally_once")
                ],
            },
        ),
    ]
