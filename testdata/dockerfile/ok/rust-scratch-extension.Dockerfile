FROM rust:1.80 AS build
COPY . .
RUN cargo build --release
FROM scratch
COPY --from=0 /target/release/ext /opt/extensions/
