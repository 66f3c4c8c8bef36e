FROM public.ecr.aws/lambda/python:3.13
COPY a .
COPY a d/.
COPY a ""
