"""What a saga's client said of the distributed trace that the saga is part of."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("sagas", "0006_audit"),
    ]

    operations = [
        migrations.AddField(
            model_name="saga",
            name="trace",
            field=models.CharField(blank=True, db_default="", default="", max_length=568),
        ),
    ]
