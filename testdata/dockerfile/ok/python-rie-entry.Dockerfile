FROM python:3.12-slim
ADD --chmod=755 https://github.com/aws/aws-lambda-runtime-interface-emulator/releases/latest/download/aws-lambda-rie /usr/local/bin/aws-lambda-rie
COPY entry.sh /
ENTRYPOINT ["/entry.sh"]
CMD ["app.handler"]
