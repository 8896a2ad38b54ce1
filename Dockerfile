# The appliance as a container image: one image for engine, gateway, exporter and operator (docs/container.md).
#
#   git archive HEAD | docker build --build-arg VARIANT=gpu --tag appliance:gpu -
#   buildah bud --layers --format docker --build-arg VARIANT=cpu --tag appliance:cpu .
#
# Wheels come from the package index that pip is told of (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, or a pip.conf mounted
# at /etc/pip.conf), or, without any index, from --build-context wheelhouse=DIR; by the hashes of deploy/locks either
# way. With buildah's --timestamp the layers of two builds of one commit on one base are the same to the byte
# (tests/container/test_image.py builds twice).
ARG BASE=docker.io/library/debian:bookworm-slim
# gpu: the official vLLM and the CUDA libraries it names. cpu: for evaluation, never for students.
ARG VARIANT=gpu

# Nothing, unless --build-context puts a directory of wheels in its place.
FROM scratch AS wheelhouse

# --- What runs: Debian's Python, three users, the directories that volumes are mounted on --------------------------
FROM ${BASE} AS runtime
SHELL ["/bin/sh", "-eu", "-c"]
# libnuma1: vLLM on the CPU. Compiled Python is checked by nothing at run time: builds rewrite time stamps, and the
# root is read-only. Not one file with a set-user-ID bit stays; nobody becomes anybody else in here.
# The accounts are those that deploy/compose.yaml names; a new volume takes the owners of these directories over.
RUN apt-get update -q \
    && apt-get install -y -q --no-install-recommends libnuma1=2.0.* python3=3.11.* \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/cache/ldconfig/* /var/log/* \
        /var/lib/dpkg/*-old /etc/passwd- /etc/group- /etc/shadow- /etc/gshadow- \
    && PYTHONHASHSEED=0 python3 -m compileall -q -f --invalidation-mode unchecked-hash /usr/lib/python3.11 /usr/lib/python3 \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
    && printf '%s\n' 'appliance:x:10000:' 'appliance-gateway:x:10002:' 'appliance-exporter:x:10003:' >> /etc/group \
    && printf '%s\n' \
        'appliance-engine:x:10001:10000:Appliance engine:/var/lib/appliance/engine:/usr/sbin/nologin' \
        'appliance-gateway:x:10002:10002:Appliance gateway:/var/lib/appliance:/usr/sbin/nologin' \
        'appliance-exporter:x:10003:10003:Appliance GPU exporter:/:/usr/sbin/nologin' >> /etc/passwd \
    && install -d -o 0 -g 10000 -m 0750 /etc/appliance /etc/appliance/trust \
    && install -d -o 10002 -g 10000 -m 0770 /var/lib/appliance \
    && install -d -o 10001 -g 10000 -m 0700 /var/lib/appliance/engine \
    && install -d -o 10001 -g 10000 -m 0755 /var/lib/appliance/bundles \
    && install -d -o 10002 -g 10002 -m 0700 /var/lib/appliance/upkeep \
    && install -d -o 10001 -g 10000 -m 0750 /run/appliance

# --- What builds: pip; it stays behind -----------------------------------------------------------------------------
FROM runtime AS tools
SHELL ["/bin/sh", "-eu", "-c"]
RUN apt-get update -q \
    && apt-get install -y -q --no-install-recommends python3-pip=23.* \
    && rm -rf /var/lib/apt/lists/*

FROM tools AS locks-cpu
COPY deploy/locks/torch-cpu.txt deploy/locks/engine-cpu.txt /locks/

FROM tools AS locks-gpu
COPY deploy/locks/torch-cuda.txt deploy/locks/engine-gpu.txt /locks/

# hadolint ignore=DL3006
FROM locks-${VARIANT} AS wheels
SHELL ["/bin/sh", "-eu", "-c"]
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
RUN --mount=type=bind,from=wheelhouse,target=/wheelhouse \
    if [ -n "$(ls /wheelhouse)" ]; then set -- --no-index; fi \
    && for lock in /locks/*.txt; do \
        pip download --quiet --no-input --disable-pip-version-check --no-cache-dir --no-deps --require-hashes "$@" \
            --only-binary=:all: --find-links=/wheelhouse --dest=/wheels --requirement="$lock"; \
    done

# --- The environment: what the locks name and nothing else, no pip, no script for a shell --------------------------
FROM runtime AS engine
SHELL ["/bin/sh", "-eu", "-c"]
# One lock after the other: a package that is in both is the same one. py312_…: a test of torch's for newer Pythons.
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    --mount=type=bind,from=wheels,source=/locks,target=/locks \
    --mount=type=bind,from=tools,source=/usr/lib/python3/dist-packages/pip,target=/build/pip \
    python3 -m venv --without-pip /opt/appliance/venv \
    && for lock in /locks/*.txt; do \
        /opt/appliance/venv/bin/python /build/pip install --quiet --no-input --disable-pip-version-check --no-cache-dir \
            --no-compile --no-deps --require-hashes --no-index --find-links=/wheels --requirement="$lock"; \
    done \
    && rm -f /opt/appliance/venv/bin/activate* /opt/appliance/venv/bin/Activate.ps1 \
    && PYTHONHASHSEED=0 python3 -m compileall -q -f --invalidation-mode unchecked-hash \
        -x /torch/testing/_internal/py312_ /opt/appliance/venv/lib

# --- What Triton would compile at its first use of a GPU, compiled here: no compiler goes along ----------------------
FROM runtime AS extras-cpu
SHELL ["/bin/sh", "-eu", "-c"]
RUN install -d /extras/bin

FROM engine AS extras-gpu
SHELL ["/bin/sh", "-eu", "-c"]
RUN apt-get update -q \
    && apt-get install -y -q --no-install-recommends gcc=4:12.* libc6-dev=2.36-* libpython3.11-dev=3.11.* \
    && rm -rf /var/lib/apt/lists/*
COPY deploy/container/prebuilt.py deploy/container/stand_in.py /src/
RUN python3 /src/prebuilt.py --site /opt/appliance/venv/lib/python3.11/site-packages --out /extras/prebuilt \
    && install -D -m 0755 /src/stand_in.py /extras/bin/gcc

# hadolint ignore=DL3006
FROM extras-${VARIANT} AS extras

# --- The appliance itself, apart: a new release shares the layers above --------------------------------------------
FROM engine AS program
SHELL ["/bin/sh", "-eu", "-c"]
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY appliance appliance
# 1980 is the oldest date that a zip file can hold.
RUN --mount=type=bind,from=tools,source=/usr/lib/python3/dist-packages/pip,target=/build/pip \
    SOURCE_DATE_EPOCH=315532800 /opt/appliance/venv/bin/python /build/pip wheel --quiet --no-input --no-cache-dir \
        --disable-pip-version-check --no-deps --no-index --no-build-isolation --wheel-dir=/own . \
    && /opt/appliance/venv/bin/python /build/pip install --quiet --no-input --no-cache-dir --disable-pip-version-check \
        --no-compile --no-deps --no-index --root=/program /own/appliance-*.whl \
    && PYTHONHASHSEED=0 python3 -m compileall -q -f --invalidation-mode unchecked-hash -s /program /program/opt

FROM engine AS assembled
COPY --from=extras /extras /opt/appliance
COPY --from=program /program/opt/appliance /opt/appliance

# --- The list of everything in it ----------------------------------------------------------------------------------
FROM assembled AS listed
SHELL ["/bin/sh", "-eu", "-c"]
ARG VARIANT
WORKDIR /src
COPY appliance appliance
COPY deploy/kit deploy/kit
COPY deploy/container deploy/container
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels \
    --mount=type=bind,from=program,source=/own,target=/own \
    PYTHONDONTWRITEBYTECODE=1 /opt/appliance/venv/bin/python -m deploy.container --variant "$VARIANT" \
        --wheels /wheels --wheels /own --root / --without /src --without /wheels --without /own --out /sbom.cdx.json

# --- The image -----------------------------------------------------------------------------------------------------
FROM assembled
ARG BASE
ARG VARIANT
ARG VERSION=0
ARG REVISION=unknown
ARG CREATED=1980-01-01T00:00:00Z
LABEL org.opencontainers.image.title="appliance" \
      org.opencontainers.image.description="On-premise inference appliance: an OpenAI-compatible endpoint that never lets a student's words leave the building (${VARIANT})" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.documentation="docs/container.md" \
      org.opencontainers.image.base.name="${BASE}"
COPY --from=listed /sbom.cdx.json /opt/appliance/sbom.cdx.json
ENV PATH=/opt/appliance/venv/bin:/opt/appliance/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /
# The engine's, who may read bundles and write what is below /var/lib/appliance; compose.yaml gives each its own.
USER 10001:10000
EXPOSE 8080
STOPSIGNAL SIGTERM
# The gateway's; the engine's and the exporter's are in deploy/compose.yaml.
HEALTHCHECK --interval=15s --timeout=10s --start-period=15m --retries=3 \
    CMD ["/opt/appliance/venv/bin/appliance", "ready", "gateway"]
ENTRYPOINT ["/opt/appliance/venv/bin/appliance"]
CMD ["--help"]
