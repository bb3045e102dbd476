# syntax=docker/dockerfile:1
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY api api
COPY providers providers
COPY controllers controllers
COPY cmd cmd
ARG TARGETOS TARGETARCH
ARG VERSION=dev
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -tags grpcnotrace -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /out/regcred ./cmd/regcred

FROM gcr.io/distroless/static:nonroot
COPY --from=build /out/regcred /regcred
# A number, so that runAsNonRoot can be checked without the image's passwd file.
USER 65532:65532
ENTRYPOINT ["/regcred"]
