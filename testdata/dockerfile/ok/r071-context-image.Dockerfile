FROM alpine:latest
# args: image:alpine=r.example/mine:1
