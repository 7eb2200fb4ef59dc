# The image of the CI jobs. Build the binary first: make build.
ARG BASE=debian:bookworm-20251229-slim
FROM ${BASE}

LABEL org.opencontainers.image.title="towline" \
      org.opencontainers.image.description="Tows a model from its repository to production" \
      org.opencontainers.image.licenses="Apache-2.0"

# The certificates that the base trusts hold for Python's tools too, which bring their own.
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt

# A job's folder belongs to another user than the one who runs it, so git is told to trust it.
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      ca-certificates git python3.11 python3.11-venv \
 && rm -rf /var/lib/apt/lists/* \
 && git config --system --add safe.directory '*' \
 && useradd --create-home --uid 1000 --shell /bin/bash towline

# Versions are pinned where the tests pin them.
COPY e2e/requirements.txt /tmp/requirements.txt
RUN python3.11 -m venv /opt/tools \
 && /opt/tools/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
      --constraint /tmp/requirements.txt pylint ruff uv \
 && ln -s /opt/tools/bin/pylint /opt/tools/bin/ruff /opt/tools/bin/uv /usr/local/bin/ \
 && rm /tmp/requirements.txt

COPY bin/towline /usr/local/bin/towline

# No ENTRYPOINT: GitLab starts a shell in it.
USER towline
WORKDIR /home/towline
