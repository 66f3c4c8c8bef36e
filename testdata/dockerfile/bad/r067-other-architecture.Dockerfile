FROM --platform=linux/amd64 public.ecr.aws/lambda/python:3.13
