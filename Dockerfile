# One image for every role: web, worker, beat, the migration step and the operator's commands.
# The first stage installs what the lock names; the second is what runs, as nobody in particular.

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /venv
COPY locks/production.txt /locks/production.txt
RUN /venv/bin/pip install --require-hashes --no-deps --only-binary :all: -r /locks/production.txt \
    && /venv/bin/pip uninstall --yes pip

FROM python:3.13-slim
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
COPY --from=build /venv /venv
WORKDIR /app
# The front door asks the lock whether the environment has everything, and then installs nothing.
COPY locks/production.txt locks/production.txt
COPY manage.py wsgi.py telemetry.py telling.py metrics.py retry.py celery_config.py ./
COPY settings settings
COPY stripe_gateway stripe_gateway
COPY domain domain
COPY db db
COPY ingest ingest
COPY workers workers
# Compiled here, because nothing can be written later.
RUN python -m compileall -q /venv/lib /app

# A number, so that a platform can tell that it is not root.
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["python", "manage.py"]
CMD ["web"]
