import sharp from "sharp";

// Half an image's width, by machine code that npm chose for the machine.
export const handler = async (event) => {
  const image = sharp({ create: { width: 64, height: 32, channels: 3, background: "#0a0" } });
  const { data, info } = await image.resize(32).png().toBuffer({ resolveWithObject: true });
  return {
    message: "hello from sharp",
    nonce: event.nonce,
    node: process.versions.node,
    machine: process.arch,
    width: info.width,
    bytes: data.length,
  };
};
