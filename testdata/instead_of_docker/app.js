// Three functions from images: one built for this machine with a command and a secret, one for arm64 with arguments and a
// second context, and an archive that something else has built.
const { App, DockerBuildSecret, Stack } = require('aws-cdk-lib');
const { Platform, TarballImageAsset } = require('aws-cdk-lib/aws-ecr-assets');
const { Role } = require('aws-cdk-lib/aws-iam');
const { Architecture, DockerImageCode, DockerImageFunction } = require('aws-cdk-lib/aws-lambda');

// These paths would be relative to the copy of the directory in cdk.out.
const path = (name) => `${__dirname}/${name}`;

const app = new App();
const stack = new Stack(app, 'Images', { env: { account: '123456789012', region: 'eu-west-1' } });
const role = Role.fromRoleArn(stack, 'Role', 'arn:aws:iam::123456789012:role/hello');
const [architecture, platform] =
  process.arch === 'arm64'
    ? [Architecture.ARM_64, Platform.LINUX_ARM64]
    : [Architecture.X86_64, Platform.LINUX_AMD64];

function add(name, code, architecture) {
  return new DockerImageFunction(stack, name, { functionName: name, code, architecture, role });
}

add(
  'native',
  DockerImageCode.fromImageAsset('hello', {
    platform,
    target: 'secret',
    buildSecrets: { token: DockerBuildSecret.fromSrc(path('token')) },
  }),
  architecture,
);
add(
  'arm',
  DockerImageCode.fromImageAsset('hello', {
    platform: Platform.LINUX_ARM64,
    file: 'words.Dockerfile',
    buildArgs: { GREETING: 'good morning', RUNTIME: '3.12' },
    buildContexts: { words: path('words') },
  }),
  Architecture.ARM_64,
);
const archive = new TarballImageAsset(stack, 'Archive', { tarballFile: 'archive.tar' });
add(
  'archive',
  DockerImageCode.fromEcr(archive.repository, { tagOrDigest: archive.imageTag }),
  Architecture.ARM_64,
);
