// Runs the model: a photograph's pixels in, probabilities out.

import { seenByModel } from "./resize.js";

let manifest;
let ort;
let session;

onmessage = async ({ data }) => {
  try {
    if (data.manifest) {
      manifest = data.manifest;
      postMessage({ kind: "ready", provider: await load() });
    } else {
      postMessage(await answer(data.number, data.bitmap));
    }
  } catch (error) {
    postMessage({ kind: "error", message: error.message });
  }
};

// The graphics processor where there is one, else WebAssembly.
async function load() {
  if (manifest.precision !== "int8" && (await self.navigator.gpu?.requestAdapter())) {
    try {
      await open("./ort/ort.webgpu.bundle.min.mjs", "webgpu");
      return "WebGPU";
    } catch (error) {
      console.info(`WebGPU: ${error.message}`);
    }
  }
  await open("./ort/ort.wasm.bundle.min.mjs", "wasm");
  return "WebAssembly";
}

async function open(module, provider) {
  ort = await import(module);
  ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;
  ort.env.wasm.numThreads = self.crossOriginIsolated ? navigator.hardwareConcurrency : 1;
  ort.env.logLevel = "error";
  session = await ort.InferenceSession.create(manifest.file, {
    executionProviders: [provider],
  });
}

async function answer(number, bitmap) {
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const photograph = context.getImageData(0, 0, canvas.width, canvas.height);
  const start = performance.now();
  const [height, width] = manifest.size;
  const pixels = seenByModel(photograph, height, width, manifest.crop, manifest.interpolation);
  const image = new ort.Tensor("float32", Float32Array.from(pixels), [1, height, width, 3]);
  const outputs = await session.run({ image });
  const milliseconds = performance.now() - start;
  const view = new ImageData(width, height);
  for (let i = 0; i < height * width; i += 1) {
    view.data.set([pixels[3 * i], pixels[3 * i + 1], pixels[3 * i + 2], 255], 4 * i);
  }
  return {
    kind: "answer",
    number,
    probabilities: outputs.probabilities.data,
    rollout: outputs.rollout?.data ?? null,
    view,
    milliseconds,
  };
}
