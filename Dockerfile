# One image for the API, the workers, the migrations and the shop: docker-compose.yml has commands.
ARG PYTHON=3.13-slim-bookworm

FROM python:${PYTHON} AS packages
COPY requirements/base.txt /tmp/base.txt
RUN python -m venv --without-pip /venv \
    && pip --python /venv/bin/python install --no-cache-dir --only-binary :all: --require-hashes \
        -r /tmp/base.txt

FROM python:${PYTHON}
# Python writes no bytecode: the root file system may be read-only. It is all compiled below.
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SAGA_ENV=production \
    SAGA_STATE_DIR=/tmp/saga
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent saga \
    && install --directory --owner saga --group saga /data
WORKDIR /app
COPY --from=packages /venv /venv
COPY . .
RUN python -m compileall -q .
USER 10001:10001
EXPOSE 3000
# SIGTERM: drains, answers what it has begun, ends.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:3000/health/live', timeout=4)"]
ENTRYPOINT ["python", "manage.py"]
CMD ["api", "--bind", "0.0.0.0:3000"]
