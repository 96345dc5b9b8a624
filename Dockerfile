# The server in an image: built with the `dist` profile, run without a shell and without root.
#
#   docker build -t keyturn .
#   docker run --rm -v keyturn:/data -e KEYTURN_SERVER__PUBLIC_URL=https://keys.example.com keyturn init
#   docker run -p 8080:8080 -v keyturn:/data -e KEYTURN_SERVER__PUBLIC_URL=https://keys.example.com keyturn
#
# Everything is kept in /data: the database and the master key. `init` shows the first credentials, once. The image listens on
# every address, so it does not start without KEYTURN_SERVER__PUBLIC_URL.

FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends cmake \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
RUN cargo build --locked --profile dist --bin keyturn \
    && mkdir -m 0775 /empty

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /build/target/dist/keyturn /usr/local/bin/keyturn
COPY --from=build /build/LICENSE-MIT /build/LICENSE-APACHE /usr/share/doc/keyturn/
# A new volume takes its owner from what it covers. Group 0 can write, because OpenShift runs the image as an arbitrary user of
# that group.
COPY --from=build --chown=65532:0 /empty /data

# The defaults say data/keyturn.db and data/master.key: from here, they lie on the volume.
WORKDIR /
VOLUME /data
ENV KEYTURN_SERVER__LISTEN=0.0.0.0:8080
EXPOSE 8080
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/usr/local/bin/keyturn", "health"]
ENTRYPOINT ["/usr/local/bin/keyturn"]
CMD ["serve"]
