// Sends photos, follows their reconstruction, and shows the face: to turn, to move, to download.
"use strict";
(function () {
  const UPLOAD_TYPE = "application/octet-stream", POLL_MILLISECONDS = 400;
  const MAX_PHOTOS = 8; // of one person, as in application.py
  const GROUPS = [["Eyes", /^eye/], ["Brows", /^brow/], ["Jaw", /^jaw/], ["Mouth", /^(mouth|tongue)/], ["Cheeks and nose", /^(cheek|nose)/]];
  const element = (id) => document.getElementById(id);
  const view = faceViewer ? faceViewer.restingView() : {};
  let job = null, face = null, stream = null;

  // The photos: chosen, dropped, pasted or taken; several are of one person.
  element("file").addEventListener("change", (event) => {
    send([...event.target.files]);
    event.target.value = "";
  });
  for (const kind of ["dragenter", "dragover"]) document.addEventListener(kind, (event) => {
    event.preventDefault();
    element("drop").classList.add("over");
  });
  for (const kind of ["dragleave", "drop"]) document.addEventListener(kind, () => element("drop").classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    send([...event.dataTransfer.files]);
  });
  document.addEventListener("paste", (event) => send([...event.clipboardData.files]));
  function stopCamera() {
    if (stream) stream.getTracks().forEach((track) => track.stop());
    stream = null;
    for (const id of ["video", "shoot"]) element(id).hidden = true;
    element("camera").hidden = false;
  }
  element("camera").addEventListener("click", async () => {
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 1280 } } });
    } catch (error) {
      show("The camera cannot be used: " + error.message, true);
      return;
    }
    element("video").srcObject = stream;
    for (const id of ["video", "shoot"]) element(id).hidden = false;
    element("camera").hidden = true;
    element("shoot").focus();
  });
  element("shoot").addEventListener("click", () => {
    const video = element("video"), still = document.createElement("canvas");
    [still.width, still.height] = [video.videoWidth, video.videoHeight];
    still.getContext("2d").drawImage(video, 0, 0);
    stopCamera();
    still.toBlob((blob) => send([new File([blob], "camera")]), "image/jpeg", 0.95);
  });

  // The job: sent, followed, deleted.
  function show(text, failed) {
    element("status").textContent = text;
    element("status").classList.toggle("failed", Boolean(failed));
  }
  function forget() {
    if (job) fetch("/faces/" + job, { method: "DELETE", keepalive: true }).catch(() => {});
    job = null;
  }
  window.addEventListener("pagehide", forget);
  element("cancel").addEventListener("click", () => {
    forget();
    element("progress").hidden = true;
    show("Canceled.");
  });
  async function send(photos) {
    if (!photos.length) return;
    if (photos.length > MAX_PHOTOS) {
      show(photos.length + " photos; choose " + MAX_PHOTOS + " at most, all of one person.", true);
      return;
    }
    forget();
    stopCamera();
    element("result").hidden = true;
    element("progress").hidden = false;
    element("bar").removeAttribute("value");
    const names = photos.map((photo) => photo.name);
    show("Sending " + names.join(", "));
    try {
      const query = new URLSearchParams(photos.map((photo) => ["photo", photo.size + ":" + photo.name]));
      const answer = await fetch("/faces?" + query, { method: "POST", body: new Blob(photos), headers: { "Content-Type": UPLOAD_TYPE } });
      const state = await answer.json();
      if (!answer.ok) throw new Error(state.message);
      job = state.id;
      await follow(state.id, names);
    } catch (error) {
      element("progress").hidden = true;
      show(error instanceof TypeError ? "The server does not answer; is it still running?" : error.message, true);
    }
  }
  async function follow(id, names) {
    while (job === id) {
      const answer = await fetch("/faces/" + id), state = await answer.json();
      if (job !== id) return;
      if (!answer.ok || state.state === "failed") throw new Error(state.message);
      if (state.state === "done") {
        await open(id, names);
        element("progress").hidden = true;
        show(state.message ? "Done, but:\n" + state.message : "Done.");
        return;
      }
      if (state.state === "waiting") show(state.before === 1 ? "Waiting for one other photo" : "Waiting for " + state.before + " other photos");
      else show(state.activity.charAt(0).toUpperCase() + state.activity.slice(1));
      if (state.share === null) element("bar").removeAttribute("value");
      else element("bar").value = state.share;
      await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
    }
  }

  // The face: a .glb, the same file that can be downloaded.
  function readGlb(content) {
    const data = new DataView(content), size = data.getUint32(12, true);
    const document = JSON.parse(new TextDecoder().decode(new Uint8Array(content, 20, size)));
    const KINDS = { 5121: Uint8Array, 5123: Uint16Array, 5125: Uint32Array, 5126: Float32Array };
    const bytesOf = (index) => {
      const at = document.bufferViews[index], start = 28 + size + (at.byteOffset || 0);
      return content.slice(start, start + at.byteLength);
    };
    const plain = (index, kind) => new KINDS[kind](bytesOf(index));
    const read = (index) => {
      const accessor = document.accessors[index];
      return accessor.bufferView === undefined ? null : plain(accessor.bufferView, accessor.componentType);
    };
    const readTarget = (index) => {
      const accessor = document.accessors[index], sparse = accessor.sparse;
      if (!sparse) return { places: null, values: read(index) };
      return { places: plain(sparse.indices.bufferView, sparse.indices.componentType), values: plain(sparse.values.bufferView, accessor.componentType) };
    };
    const texture = (primitive) => {
      const material = document.materials[primitive.material].pbrMetallicRoughness.baseColorTexture;
      const image = document.images[document.textures[material.index].source];
      return URL.createObjectURL(new Blob([bytesOf(image.bufferView)], { type: image.mimeType }));
    };
    const mesh = document.meshes[0];
    return {
      names: (mesh.extras || {}).targetNames || [], weights: mesh.weights || [],
      parts: mesh.primitives.map((primitive) => ({
        rest: read(primitive.attributes.POSITION), coordinates: read(primitive.attributes.TEXCOORD_0),
        triangles: Uint32Array.from(read(primitive.indices)), texture: texture(primitive),
        targets: (primitive.targets || []).map((target) => readTarget(target.POSITION)),
      })),
    };
  }
  function pose(part, weights) {
    const positions = Float32Array.from(part.rest);
    part.targets.forEach(({ places, values }, index) => {
      const weight = weights[index];
      if (!weight) return;
      if (!places) for (let i = 0; i < values.length; i++) positions[i] += weight * values[i];
      else for (let i = 0; i < places.length; i++) for (let k = 0; k < 3; k++) positions[3 * places[i] + k] += weight * values[3 * i + k];
    });
    return positions;
  }
  function redraw() {
    if (face && !element("result").hidden) faceViewer.draw(element("canvas"), face.drawn, face.frame, view);
  }
  function move() {
    face.parts.forEach((part, index) => faceViewer.setPositions(face.drawn[index], pose(part, face.now)));
    redraw();
  }
  async function open(id, names) {
    element("name").textContent = names.join(", ");
    element("picture").src = "/faces/" + id + "/face.jpg";
    element("picture").alt = (names.length > 1 ? "The photos" : "The photo") + " with the reconstruction laid in";
    element("reset").hidden = names.length > 1; // the face of several photos is at rest
    document.querySelectorAll("#downloads a").forEach((link) => { link.href = "/faces/" + id + "/" + link.dataset.file; });
    element("result").hidden = false;
    if (!faceViewer) {
      document.body.classList.add("no-webgl");
      return;
    }
    const answer = await fetch("/faces/" + id + "/face.glb");
    if (!answer.ok) throw new Error("The face has been deleted; send the photo again");
    face = readGlb(await answer.arrayBuffer());
    face.now = [...face.weights];
    const low = [Infinity, Infinity, Infinity], high = low.map((value) => -value);
    for (const part of face.parts) part.rest.forEach((value, i) => {
      low[i % 3] = Math.min(low[i % 3], value);
      high[i % 3] = Math.max(high[i % 3], value);
    });
    face.frame = faceViewer.frameBox(low, high);
    face.drawn = face.parts.map((part) => faceViewer.makePart(pose(part, face.now), part.triangles, part.coordinates, part.texture, redraw, "/faces/" + id + "/albedo.png"));
    Object.assign(view, faceViewer.restingView(), { look: view.look, lamp: view.lamp });
    listActions();
    element("canvas").scrollIntoView({ block: "nearest", behavior: "smooth" });
  }

  // The actions: a slider for each named morph target, by regions of the face.
  function words(name) {
    return name.replace(/([A-Z])/g, " $1").toLowerCase();
  }
  function listActions() {
    const moves = (index) => face.parts.some((part) => part.targets[index].values.some(Boolean));
    const taken = new Set(face.names.map((_, index) => index).filter((index) => !moves(index)));
    element("actions").replaceChildren(...[...GROUPS, ["More", /./]].map(([title, pattern]) => {
      const group = document.createElement("details"), summary = document.createElement("summary");
      summary.textContent = title;
      group.append(summary);
      face.names.forEach((name, index) => {
        if (taken.has(index) || !pattern.test(name)) return;
        taken.add(index);
        const row = document.createElement("div"), label = document.createElement("label");
        const slider = document.createElement("input"), value = document.createElement("output");
        row.className = "action";
        label.textContent = words(name);
        label.htmlFor = slider.id = "action-" + index;
        Object.assign(slider, { type: "range", min: 0, max: 1, step: 0.01, value: face.now[index] });
        slider.dataset.index = index;
        value.textContent = Number(slider.value).toFixed(2);
        slider.addEventListener("input", () => {
          face.now[index] = Number(slider.value);
          value.textContent = Number(slider.value).toFixed(2);
          requestMove();
        });
        row.append(label, slider, value);
        group.append(row);
      });
      return group;
    }).filter((group) => group.children.length > 1));
    const mouth = [...element("actions").children].find((group) => group.firstChild.textContent === "Jaw");
    if (mouth) mouth.open = true;
  }
  let isMovePending = false;
  function requestMove() { // at most once a frame
    if (isMovePending) return;
    isMovePending = true;
    requestAnimationFrame(() => {
      isMovePending = false;
      move();
    });
  }
  function setAll(weights) {
    face.now = weights;
    element("actions").querySelectorAll("input").forEach((slider) => {
      slider.value = face.now[Number(slider.dataset.index)];
      slider.nextSibling.textContent = Number(slider.value).toFixed(2);
    });
    requestMove();
  }
  element("rest").addEventListener("click", () => face && setAll(face.weights.map(() => 0)));
  element("reset").addEventListener("click", () => face && setAll([...face.weights]));
  ["photo-look", "clay-look", "lamp-look"].forEach((id, look, ids) => element(id).addEventListener("click", () => {
    view.look = look;
    element("lamp").hidden = id !== "lamp-look";
    ids.forEach((other) => element(other).setAttribute("aria-pressed", other === id));
    redraw();
  }));
  ["lamp-right", "lamp-above"].forEach((id, axis) => element(id).addEventListener("input", (event) => {
    view.lamp[axis] = Number(event.target.value);
    element(id).nextElementSibling.textContent = event.target.value + "\u00b0";
    redraw();
  }));
  if (faceViewer) faceViewer.attachControls(element("canvas"), view, redraw);
  window.addEventListener("resize", redraw);
})();
