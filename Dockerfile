# Server, worker and dashboard of compose.yaml are this one image. Not built by the project's tests: see docs/operations.md.
FROM python:3.11-slim-bookworm

# A user of its own: the image needs no root, and a plugin that is run in it has none.
RUN useradd --create-home --uid 1000 coordeval
WORKDIR /app
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
COPY . .
RUN pip install --no-cache-dir --no-deps . \
    && mkdir -p /data/results /data/studies /data/prefect \
    && chown -R coordeval /data

USER 1000
WORKDIR /data
ENV PREFECT_HOME=/data/prefect \
    PREFECT_SERVER_ANALYTICS_ENABLED=false \
    DO_NOT_TRACK=1 \
    COORDEVAL_LEDGER=/data/results/coordeval.duckdb \
    PYTHONUNBUFFERED=1
VOLUME /data
CMD ["coordeval", "--help"]
