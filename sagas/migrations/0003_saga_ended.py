from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("sagas", "0002_operations"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="saga",
            index=models.Index(
                condition=models.Q(("ended_at__isnull", False)),
                fields=["ended_at"],
                name="saga_ended",
            ),
        ),
    ]
