// A photo by the camera: the browser asks whether it may be used, and it is let go of when the dialog closes.
const dialog = document.querySelector("dialog");
const video = dialog.querySelector("video");
let stream;
let asking = false;

export const thereIsOne = Boolean(globalThis.navigator.mediaDevices?.getUserMedia);

dialog.addEventListener("close", () => {
  stream?.getTracks().forEach((track) => track.stop());
  video.srcObject = stream = null;
});
dialog.querySelector("#cancel").addEventListener("click", () => dialog.close());

// Open the camera; `take` is given the photo as a file. Raises what the browser does where there is no camera to use.
export async function openCamera(take) {
  if (asking) return; // a second stream would take the place of the first, which nobody could stop then
  asking = true;
  const wanted = { facingMode: "environment", width: { ideal: 1920 } };
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: wanted });
  } finally {
    asking = false;
  }
  video.srcObject = stream;
  dialog.showModal();
  dialog.querySelector("#shoot").onclick = () => {
    if (video.videoWidth === 0) return; // it has not begun yet
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext("2d").drawImage(video, 0, 0);
    dialog.close();
    canvas.toBlob((blob) => take(new File([blob], "camera.png", { type: blob.type })));
  };
}
