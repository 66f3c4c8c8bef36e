ARG RUNTIME=3.8
FROM public.ecr.aws/lambda/python:${RUNTIME}
ARG GREETING
ENV GREETING=${GREETING}
COPY app.py ./
COPY --from=words words.txt ./
CMD ["app.handler"]
