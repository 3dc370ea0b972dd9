# batchdigits in a container: docker build --tag batchdigits . (docs/install.md says how to run it)
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN python -m venv /opt/batchdigits \
    && /opt/batchdigits/bin/pip install --no-cache-dir -c constraints.txt '.[parquet,xlsx]'

FROM python:3.11-slim-bookworm
# root owns the program: a run cannot change it
COPY --from=build /opt/batchdigits /opt/batchdigits
ENV PATH=/opt/batchdigits/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin batchdigits
USER 10001
VOLUME ["/inbox", "/out"]
WORKDIR /out
ENTRYPOINT ["batchdigits"]
CMD ["--help"]
