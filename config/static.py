"""How a production's static files are named."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class NamedByContent(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Names every file by its content, in the scripts' imports too: a module under two names would be run twice."""

    support_js_module_import_aggregation = True
