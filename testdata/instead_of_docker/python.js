// A zip function whose packages are installed at synth, by `docker run`: in an image that `docker build` makes.
const { PythonFunction } = require('@aws-cdk/aws-lambda-python-alpha');
const { App, Stack } = require('aws-cdk-lib');
const { Architecture, Runtime } = require('aws-cdk-lib/aws-lambda');

const stack = new Stack(new App(), 'Zip', { env: { account: '123456789012', region: 'eu-west-1' } });
new PythonFunction(stack, 'zip', {
  functionName: 'zip',
  entry: 'python',
  runtime: Runtime.PYTHON_3_12,
  architecture: process.arch === 'arm64' ? Architecture.ARM_64 : Architecture.X86_64,
});
