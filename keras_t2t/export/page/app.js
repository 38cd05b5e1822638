// The page: takes a photograph, asks the worker, shows its answer.

import { containedWorker } from "./contained.js";

const $ = (id) => document.getElementById(id);
const manifest = await fetch("manifest.json", { cache: "no-cache" })
  .then((response) => response.json())
  .catch((error) => {
    fail(`This page cannot read its manifest.json: ${error.message}`);
    return new Promise(() => {}); // there is nothing to go on with
  });
const worker = containedWorker("worker.js");
let ready = false;
let asked = 0;
let shown = null; // { view: ImageData, rollout: Float32Array or null }

worker.onmessage = ({ data }) => {
  if (data.kind === "ready") {
    ready = true;
    if (asked) return say("Working …");
    say(`Ready: ${manifest.model}, ${manifest.precision}, on ${data.provider}.`);
    document.documentElement.dataset.state = "ready";
  } else if (data.kind === "error") {
    if (data.number === undefined || data.number === asked) fail(data.message);
  } else if (data.number === asked) {
    show(data);
  }
};
worker.onerror = (event) => {
  fail(`That did not work: ${event.message || "the worker could not be loaded"}`);
};
worker.postMessage({ manifest });
$("open").disabled = false;
$("camera").disabled = !navigator.mediaDevices?.getUserMedia;

function say(text) {
  $("status").textContent = text;
}

function ask(blob) {
  if (!blob || (!ready && document.documentElement.dataset.state === "error")) return;
  asked += 1;
  document.documentElement.dataset.state = "working";
  say(ready ? "Working …" : "Waiting for the model …");
  worker.postMessage({ number: asked, blob });
}

// Also hides the answer for an earlier photograph.
function fail(text) {
  $("result").hidden = true;
  document.documentElement.dataset.state = "error";
  say(text);
}

function show({ probabilities, rollout, view, milliseconds }) {
  const order = [...probabilities.keys()].sort((i, j) => probabilities[j] - probabilities[i]);
  const best = order.slice(0, 5);
  const name = (i) => manifest.classes?.[i] ?? `class ${i}`;
  const percent = (i) => `${(100 * probabilities[i]).toFixed(1)}%`;
  $("result").hidden = false;
  $("best").textContent = `${name(best[0])}, ${percent(best[0])}`;
  $("classes").replaceChildren(...best.map((i) => {
    const item = document.createElement("li");
    const row = document.createElement("div");
    row.className = "row";
    for (const text of [name(i), percent(i)]) {
      row.append(Object.assign(document.createElement("span"), { textContent: text }));
    }
    const bar = document.createElement("div");
    bar.className = "bar";
    bar.setAttribute("aria-hidden", "true");
    const filled = document.createElement("div");
    filled.style.width = percent(i);
    bar.append(filled);
    item.append(row, bar);
    return item;
  }));
  $("time").textContent = `${milliseconds.toFixed(0)} ms`;
  $("overlay-label").hidden = !rollout;
  shown = { view, rollout };
  draw();
  window.probabilities = probabilities; // for tests
  document.documentElement.dataset.state = "done";
  say("Done.");
}

function draw() {
  const { view, rollout } = shown;
  const canvas = $("view");
  canvas.width = view.width;
  canvas.height = view.height;
  const context = canvas.getContext("2d");
  context.putImageData(view, 0, 0);
  if (!rollout || !$("overlay").checked) return;
  const [rows, columns] = manifest.rollout;
  const heat = new ImageData(columns, rows);
  const most = Math.max(...rollout);
  const least = Math.min(...rollout);
  rollout.forEach((value, i) => {
    // Darkens the regions that hardly reached the class token.
    const share = (value - least) / (most - least || 1);
    heat.data.set([0, 0, 0, Math.round(180 * (1 - share))], 4 * i);
  });
  const small = new OffscreenCanvas(columns, rows);
  small.getContext("2d").putImageData(heat, 0, 0);
  context.drawImage(small, 0, 0, view.width, view.height);
}

// A photograph: chosen, dropped, pasted, from the camera.
$("open").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", () => {
  ask($("file").files[0]);
  $("file").value = "";
});
$("overlay").addEventListener("change", draw);
addEventListener("paste", (event) => ask(event.clipboardData.files[0]));
addEventListener("dragover", (event) => {
  event.preventDefault();
  $("drop").classList.add("over");
});
addEventListener("dragleave", () => $("drop").classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  ask(event.dataTransfer.files[0]);
});

let stream = null;
function stopCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
}
$("camera").addEventListener("click", async () => {
  let opened;
  try {
    const video = { facingMode: "environment" };
    opened = await navigator.mediaDevices.getUserMedia({ video });
  } catch (error) {
    say(`The camera cannot be used: ${error.message}`);
    return;
  }
  stopCamera(); // of an earlier tap
  stream = opened;
  $("video").srcObject = stream;
  try {
    await $("video").play();
  } catch (error) {
    if (stream === opened) throw error; // else a later tap took its place
    return;
  }
  $("live").hidden = false;
  $("shoot").focus();
});
$("shoot").addEventListener("click", async () => {
  const { videoWidth: width, videoHeight: height } = $("video");
  const still = new OffscreenCanvas(width, height);
  still.getContext("2d").drawImage($("video"), 0, 0);
  ask(await still.convertToBlob({ type: "image/png" }));
});
$("stop").addEventListener("click", () => {
  stopCamera();
  $("live").hidden = true;
  $("camera").focus();
});
