FROM --platform=linux/amd64,linux/arm64 a
