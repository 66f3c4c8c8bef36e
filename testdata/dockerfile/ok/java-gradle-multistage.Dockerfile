FROM --platform=$BUILDPLATFORM gradle:8-jdk21 AS build
COPY --chown=gradle:gradle . /home/gradle/src
WORKDIR /home/gradle/src
RUN gradle build --no-daemon

FROM public.ecr.aws/lambda/java:21
COPY --from=build /home/gradle/src/build/classes/java/main ${LAMBDA_TASK_ROOT}
COPY --from=build /home/gradle/src/build/dependency/* ${LAMBDA_TASK_ROOT}/lib/
CMD [ "example.App::handleRequest" ]
