# One image for web, worker, beat and migrate: docker-compose.yml says which is which.

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /venv
COPY requirements/runtime.lock /tmp/runtime.lock
RUN /venv/bin/python -m pip install --require-hashes -r /tmp/runtime.lock
WORKDIR /app
COPY manage.py ./
COPY pexsync pexsync
COPY connectors connectors
COPY tagging tagging
COPY syncjobs syncjobs
COPY templates templates
COPY static static
# These secrets live only while the pages' files are gathered; nothing is ever sealed with them.
RUN SECRET_KEY=only-to-gather-files INSTALLATION_ID=none CREDENTIAL_KEYS=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= \
    PEX_OAUTH_CLIENT_ID=none DATA_DIR=/tmp/data STATIC_ROOT=/app/staticfiles \
    /venv/bin/python manage.py collectstatic --no-input \
    && /venv/bin/python -m compileall -q /app

# What every process here runs in: nobody's account, no shell, one folder to write in.
FROM python:3.11-slim-bookworm AS base
RUN useradd --uid 10001 --no-create-home --home-dir /app --shell /usr/sbin/nologin pexsync \
    && install -d -o 10001 -g 10001 -m 0700 /data
WORKDIR /app
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1

# The simulated companies, to try it out: docker compose --profile sandbox up
FROM build AS sandbox-build
COPY requirements/demo.lock /tmp/demo.lock
RUN /venv/bin/python -m pip install --require-hashes -r /tmp/demo.lock

FROM base AS sandbox
COPY --from=sandbox-build /venv /venv
COPY sandbox sandbox
USER 10001
EXPOSE 8001
CMD ["python", "-m", "sandbox", "--host", "0.0.0.0", "--port", "8001", "--data", "/data/world"]

# The product.
FROM base
COPY --from=build /venv /venv
COPY --from=build /app /app
ENV DJANGO_SETTINGS_MODULE=pexsync.settings DATA_DIR=/data STATIC_ROOT=/app/staticfiles
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=6s --start-period=20s --retries=4 CMD ["python", "-m", "pexsync.health", "8000"]
CMD ["gunicorn", "pexsync.wsgi", "--bind", "0.0.0.0:8000", "--worker-class", "gthread", "--workers", "2", "--threads", "8", "--timeout", "120", "--graceful-timeout", "30", "--keep-alive", "30", "--worker-tmp-dir", "/dev/shm", "--no-control-socket"]
