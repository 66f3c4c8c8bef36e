FROM public.ecr.aws/lambda/python:3.13
COPY requirements.txt .
RUN --mount=type=secret,id=netrc,target=/root/.netrc,mode=0600 \
    --mount=type=secret,id=token,env=TOKEN,required \
    --mount=type=ssh \
    pip install -r requirements.txt
CMD ["app.handler"]
