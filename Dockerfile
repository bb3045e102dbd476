# syntax=docker/dockerfile:1
# release/image replaces the tags of the base images by the digests that it finds, and says in labels which they were.
ARG BUILD_IMAGE=docker.io/library/golang:1.26
ARG BASE_IMAGE=gcr.io/distroless/static:nonroot
FROM --platform=$BUILDPLATFORM $BUILD_IMAGE AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY api api
COPY internal internal
COPY providers providers
COPY controllers controllers
COPY cmd cmd
ARG TARGETOS TARGETARCH
ARG VERSION=dev
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    GOOS=$TARGETOS GOARCH=$TARGETARCH VERSION=$VERSION cmd/buildenv go build -o /out/ ./cmd/regcred ./cmd/kubectl-regcred

FROM $BASE_IMAGE
ARG VERSION=dev
ARG BASE_IMAGE
ARG BASE_DIGEST=
LABEL org.opencontainers.image.title=regcred \
      org.opencontainers.image.source=https://github.com/regcred/regcred \
      org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.base.name=$BASE_IMAGE \
      org.opencontainers.image.base.digest=$BASE_DIGEST
COPY LICENSE /LICENSE
# The plugin is for Jobs, such as that of config/samples/audit.yaml.
COPY --from=build /out/regcred /out/kubectl-regcred /
# A number, so that runAsNonRoot can be checked without the image's passwd file.
USER 65532:65532
ENTRYPOINT ["/regcred"]
