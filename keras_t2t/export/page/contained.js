// A worker under this page's policy, which forbids other hosts. A worker that is loaded from a
// file would have the policy that the host sends with the file, possibly none.
const { Worker } = self;

export function containedWorker(url, options) {
  const code = `
    const early = [];
    onmessage = (event) => early.push(event.data);
    import(${JSON.stringify(new URL(url, import.meta.url).href)}).then(
      () => early.forEach((data) => dispatchEvent(new MessageEvent("message", { data }))),
      (error) => reportError(error),
    );`;
  const blob = new Blob([code], { type: "text/javascript" });
  return new Worker(URL.createObjectURL(blob), { ...options, type: "module" });
}
