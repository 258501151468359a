// The figures of a page of results: their meshes turn, and their buttons choose.
"use strict";
(function () {
  if (!faceViewer) {
    document.body.classList.add("no-webgl");
    return;
  }
  const shared = JSON.parse(document.getElementById("shared").textContent);
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const triangles = new Uint32Array(bytes(shared.triangles).buffer);
  const coordinates = new Uint16Array(bytes(shared.coordinates).buffer);

  function loadMesh(version, whenReady) {
    const steps = new Uint16Array(bytes(version.positions).buffer);
    const positions = new Float32Array(steps.length);
    for (let i = 0; i < steps.length; i++) positions[i] = version.low[i % 3] + steps[i] * version.step[i % 3];
    const high = version.low.map((low, k) => low + 65535 * version.step[k]);
    return {
      parts: [faceViewer.makePart(positions, triangles, coordinates, version.texture, whenReady)],
      frame: faceViewer.frameBox(version.low, high),
    };
  }

  function attach(figure) {
    const canvas = figure.querySelector("canvas"), overlay = figure.querySelector(".overlay");
    const versions = JSON.parse(figure.querySelector("script").textContent), meshes = [];
    const view = Object.assign(faceViewer.restingView(), { version: versions.length - 1 });
    const firstOverlay = overlay.src;
    let visible = false;

    const redraw = () => {
      if (!visible) return;
      const index = view.version;
      meshes[index] = meshes[index] || loadMesh(versions[index], redraw);
      overlay.src = versions[index].overlay || firstOverlay; // that of the first is not embedded twice
      faceViewer.draw(canvas, meshes[index].parts, meshes[index].frame, view);
    };
    faceViewer.attachControls(canvas, view, redraw);
    figure.querySelectorAll(".choice").forEach((choice) => {
      const buttons = [...choice.children];
      buttons.forEach((button, index) => button.addEventListener("click", () => {
        view[choice.dataset.name] = index;
        buttons.forEach((other) => other.setAttribute("aria-pressed", other === button));
        redraw();
      }));
    });
    window.addEventListener("resize", redraw);
    new IntersectionObserver((entries, observer) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      visible = true;
      redraw();
    }, { rootMargin: "300px" }).observe(figure);
  }

  document.querySelectorAll("figure").forEach(attach);
})();
