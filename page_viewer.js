// A small mesh viewer: one WebGL context draws for every canvas of the page. Our own, no libraries.
"use strict";
(function () {
  const shared = JSON.parse(document.getElementById("shared").textContent);
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const triangles = new Uint32Array(bytes(shared.triangles).buffer);
  const coordinates = new Uint16Array(bytes(shared.coordinates).buffer);
  const vertexSource = `
    attribute vec3 position; attribute vec3 normal; attribute vec2 uv;
    uniform mat3 turn; uniform vec3 middle; uniform float scale;
    varying vec3 towards; varying vec2 place;
    void main() {
      vec3 p = turn * (position - middle) * scale;
      towards = turn * normal; place = uv;
      float distance = 5.0 - p.z;
      gl_Position = vec4(p.xy * 4.6, (distance - 5.0) * 0.5 * distance / 5.0, distance);
    }`;
  const pixelSource = `
    precision mediump float;
    varying vec3 towards; varying vec2 place;
    uniform sampler2D photo; uniform float clay;
    void main() {
      vec3 n = normalize(towards);
      float light = 0.25 + 0.55 * max(dot(n, vec3(0.35, 0.45, 0.82)), 0.0) + 0.25 * max(dot(n, vec3(-0.75, 0.2, 0.63)), 0.0);
      gl_FragColor = vec4(mix(texture2D(photo, place).rgb, vec3(0.80, 0.78, 0.75) * light, clay), 1.0);
    }`;

  const surface = document.createElement("canvas");
  const gl = surface.getContext("webgl", { antialias: true, preserveDrawingBuffer: true });
  if (!gl || !gl.getExtension("OES_element_index_uint")) {
    document.body.classList.add("no-webgl");
    return;
  }
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, vertexSource], [gl.FRAGMENT_SHADER, pixelSource]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  gl.useProgram(program);
  gl.enable(gl.DEPTH_TEST);
  const buffer = (target, data) => {
    const made = gl.createBuffer();
    gl.bindBuffer(target, made);
    gl.bufferData(target, data, gl.STATIC_DRAW);
    return made;
  };
  const uniform = (name) => gl.getUniformLocation(program, name);
  const triangleBuffer = buffer(gl.ELEMENT_ARRAY_BUFFER, triangles);
  const coordinateBuffer = buffer(gl.ARRAY_BUFFER, coordinates);

  function normalsOf(positions) {
    const normals = new Float32Array(positions.length);
    for (let i = 0; i < triangles.length; i += 3) {
      const [a, b, c] = [3 * triangles[i], 3 * triangles[i + 1], 3 * triangles[i + 2]];
      const u = [0, 1, 2].map((k) => positions[b + k] - positions[a + k]);
      const v = [0, 1, 2].map((k) => positions[c + k] - positions[a + k]);
      const n = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
      for (const corner of [a, b, c]) for (let k = 0; k < 3; k++) normals[corner + k] += n[k];
    }
    return normals;
  }

  function load(figure) {
    const face = JSON.parse(figure.querySelector("script").textContent);
    const steps = new Uint16Array(bytes(face.positions).buffer);
    const positions = new Float32Array(steps.length);
    for (let i = 0; i < steps.length; i++) positions[i] = face.low[i % 3] + steps[i] * face.step[i % 3];
    const size = [0, 1, 2].map((k) => 65535 * face.step[k]);
    const state = {
      positions: buffer(gl.ARRAY_BUFFER, positions), normals: buffer(gl.ARRAY_BUFFER, normalsOf(positions)),
      middle: [0, 1, 2].map((k) => face.low[k] + size[k] / 2), scale: 1.7 / Math.max(size[0], size[1]),
      texture: gl.createTexture(), yaw: 0.45, pitch: 0.1, zoom: 1, clay: 0, ready: false,
    };
    const image = new Image();
    image.onload = () => {
      gl.bindTexture(gl.TEXTURE_2D, state.texture);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, image);
      gl.generateMipmap(gl.TEXTURE_2D);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_LINEAR);
      state.ready = true;
      draw(figure, state);
    };
    image.src = face.texture;
    return state;
  }

  function draw(figure, state) {
    if (!state.ready) return;
    const canvas = figure.querySelector("canvas");
    const side = Math.round(canvas.clientWidth * (window.devicePixelRatio || 1));
    if (!side) return;
    if (canvas.width !== side) canvas.width = canvas.height = side;
    if (surface.width !== side) surface.width = surface.height = side;
    gl.viewport(0, 0, side, side);
    gl.clearColor(0.094, 0.094, 0.094, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const [sy, cy, sx, cx] = [Math.sin(state.yaw), Math.cos(state.yaw), Math.sin(state.pitch), Math.cos(state.pitch)];
    gl.uniformMatrix3fv(uniform("turn"), false, [cy, sx * sy, -cx * sy, 0, cx, sx, sy, -sx * cy, cx * cy]);
    gl.uniform3fv(uniform("middle"), state.middle);
    gl.uniform1f(uniform("scale"), state.scale * state.zoom);
    gl.uniform1f(uniform("clay"), state.clay);
    const feed = (name, data, count, kind, normalized) => {
      const place = gl.getAttribLocation(program, name);
      gl.bindBuffer(gl.ARRAY_BUFFER, data);
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, count, kind, normalized, 0, 0);
    };
    feed("position", state.positions, 3, gl.FLOAT, false);
    feed("normal", state.normals, 3, gl.FLOAT, false);
    feed("uv", coordinateBuffer, 2, gl.UNSIGNED_SHORT, true);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, triangleBuffer);
    gl.bindTexture(gl.TEXTURE_2D, state.texture);
    gl.drawElements(gl.TRIANGLES, triangles.length, gl.UNSIGNED_INT, 0);
    canvas.getContext("2d").drawImage(surface, 0, 0);
  }

  function attach(figure) {
    let state = null;
    const canvas = figure.querySelector("canvas");
    const redraw = () => state && draw(figure, state); // browsers send pointer moves once a frame
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      if (!state || !event.buttons) return;
      state.yaw += event.movementX * 0.01;
      state.pitch = Math.max(-1.5, Math.min(1.5, state.pitch + event.movementY * 0.01));
      redraw();
    });
    canvas.addEventListener("wheel", (event) => {
      if (!state || !event.ctrlKey) return; // plain scrolling stays with the page
      event.preventDefault();
      state.zoom = Math.max(0.5, Math.min(6, state.zoom * Math.exp(-event.deltaY * 0.002)));
      redraw();
    }, { passive: false });
    figure.querySelector("button").addEventListener("click", () => {
      if (state) state.clay = 1 - state.clay;
      redraw();
    });
    window.addEventListener("resize", redraw);
    new IntersectionObserver((entries, observer) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      state = load(figure);
    }, { rootMargin: "300px" }).observe(figure);
  }

  document.querySelectorAll("figure").forEach(attach);
})();
