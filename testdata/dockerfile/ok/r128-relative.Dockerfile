FROM public.ecr.aws/lambda/python:3.13
WORKDIR "src/x"
WORKDIR ..
