from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("crm", "0002_promises")]

    operations = [
        migrations.AlterModelOptions(name="billed", options={"verbose_name_plural": "billed amounts"}),
    ]
