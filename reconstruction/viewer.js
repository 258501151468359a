// A small mesh viewer: one WebGL context draws for every canvas of the page. Our own, no libraries.
"use strict";
// null where the browser has no WebGL. A part is a mesh with its texture; a face has one or several.
const faceViewer = (function () {
  const FIRST_YAW = 0.45, FIRST_PITCH = 0.1; // radians: turned a little, so that it is seen to be a solid
  const PIVOT = [0.5, 0.5, 0.3]; // in the box around the mesh: behind its middle, so that a turned face stays in that of the frame
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
    uniform sampler2D photo; uniform float clay, relit; uniform vec3 lamp;
    void main() {
      vec3 n = normalize(towards);
      vec3 color = texture2D(photo, place).rgb;
      color *= mix(1.0, 1.5 * pow(0.12 + 0.88 * max(dot(n, lamp), 0.0), 0.4545), relit); // of light to gray levels
      float light = 0.25 + 0.55 * max(dot(n, vec3(0.35, 0.45, 0.82)), 0.0) + 0.25 * max(dot(n, vec3(-0.75, 0.2, 0.63)), 0.0);
      gl_FragColor = vec4(mix(color, vec3(0.80, 0.78, 0.75) * light, clay), 1.0);
    }`;

  const surface = document.createElement("canvas");
  const gl = surface.getContext("webgl", { antialias: true, preserveDrawingBuffer: true });
  if (!gl || !gl.getExtension("OES_element_index_uint")) {
    return null;
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
  const buffers = new WeakMap(); // parts that share an array share its buffer
  const buffer = (target, data) => {
    if (!buffers.has(data)) {
      buffers.set(data, gl.createBuffer());
      gl.bindBuffer(target, buffers.get(data));
      gl.bufferData(target, data, gl.STATIC_DRAW);
    }
    return buffers.get(data);
  };
  const uniform = (name) => gl.getUniformLocation(program, name);

  function normalsOf(p, triangles) {
    const normals = new Float32Array(p.length);
    for (let i = 0; i < triangles.length; i += 3) {
      const a = 3 * triangles[i], b = 3 * triangles[i + 1], c = 3 * triangles[i + 2];
      const ux = p[b] - p[a], uy = p[b + 1] - p[a + 1], uz = p[b + 2] - p[a + 2];
      const vx = p[c] - p[a], vy = p[c + 1] - p[a + 1], vz = p[c + 2] - p[a + 2];
      const nx = uy * vz - uz * vy, ny = uz * vx - ux * vz, nz = ux * vy - uy * vx;
      for (const corner of [a, b, c]) {
        normals[corner] += nx; normals[corner + 1] += ny; normals[corner + 2] += nz;
      }
    }
    return normals;
  }

  // positions: Float32Array; triangles: Uint32Array; coordinates: Uint16Array of 0..65535, or Float32Array;
  // texture, and the same without light, for the third look: addresses of pictures
  function makePart(positions, triangles, coordinates, texture, whenReady, evenTexture) {
    const part = {
      positions: gl.createBuffer(), normals: gl.createBuffer(), triangles,
      indices: buffer(gl.ELEMENT_ARRAY_BUFFER, triangles), coordinates: buffer(gl.ARRAY_BUFFER, coordinates),
      kind: coordinates instanceof Uint16Array ? gl.UNSIGNED_SHORT : gl.FLOAT, texture: gl.createTexture(), even: null, ready: false,
    };
    setPositions(part, positions);
    load(part.texture, texture, () => { part.ready = true; whenReady(); });
    if (evenTexture) {
      const even = gl.createTexture();
      load(even, evenTexture, () => { part.even = even; whenReady(); });
    }
    return part;
  }

  function load(texture, address, whenReady) {
    const image = new Image();
    image.onload = () => {
      gl.bindTexture(gl.TEXTURE_2D, texture);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, image);
      gl.generateMipmap(gl.TEXTURE_2D);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_LINEAR);
      whenReady();
    };
    image.src = address;
  }

  function setPositions(part, positions) {
    for (const [target, data] of [[part.positions, positions], [part.normals, normalsOf(positions, part.triangles)]]) {
      gl.bindBuffer(gl.ARRAY_BUFFER, target);
      gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
    }
  }

  // The place of a mesh in the picture, from the corners of the box around it.
  function frameBox(low, high) {
    const size = [0, 1, 2].map((k) => high[k] - low[k]);
    return { middle: [0, 1, 2].map((k) => low[k] + size[k] * PIVOT[k]), scale: 1.7 / Math.max(size[0], size[1]) };
  }

  // look: 0 the photo, 1 clay, 2 a lamp's light; lamp: degrees to the right of the camera and above it
  const restingView = () => ({ yaw: FIRST_YAW, pitch: FIRST_PITCH, zoom: 1, look: 0, lamp: [-40, 30] });

  function draw(canvas, parts, frame, view) {
    const side = Math.round(canvas.clientWidth * (window.devicePixelRatio || 1));
    if (!side || !parts.every((part) => part.ready)) return;
    if (canvas.width !== side) canvas.width = canvas.height = side;
    if (surface.width !== side) surface.width = surface.height = side;
    gl.viewport(0, 0, side, side);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const [sy, cy, sx, cx] = [Math.sin(view.yaw), Math.cos(view.yaw), Math.sin(view.pitch), Math.cos(view.pitch)];
    gl.uniformMatrix3fv(uniform("turn"), false, [cy, sx * sy, -cx * sy, 0, cx, sx, sy, -sx * cy, cx * cy]);
    gl.uniform3fv(uniform("middle"), frame.middle);
    gl.uniform1f(uniform("scale"), frame.scale * view.zoom);
    gl.uniform1f(uniform("clay"), Number(view.look === 1));
    gl.uniform1f(uniform("relit"), Number(view.look === 2));
    const [right, above] = view.lamp.map((degrees) => degrees * Math.PI / 180);
    gl.uniform3f(uniform("lamp"), Math.sin(right) * Math.cos(above), Math.sin(above), Math.cos(right) * Math.cos(above));
    const feed = (name, data, count, kind) => {
      const place = gl.getAttribLocation(program, name);
      gl.bindBuffer(gl.ARRAY_BUFFER, data);
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, count, kind, kind === gl.UNSIGNED_SHORT, 0, 0);
    };
    for (const part of parts) {
      feed("position", part.positions, 3, gl.FLOAT);
      feed("normal", part.normals, 3, gl.FLOAT);
      feed("uv", part.coordinates, 2, part.kind);
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, part.indices);
      gl.bindTexture(gl.TEXTURE_2D, view.look === 2 && part.even || part.texture);
      gl.drawElements(gl.TRIANGLES, part.triangles.length, gl.UNSIGNED_INT, 0);
    }
    const target = canvas.getContext("2d");
    target.clearRect(0, 0, side, side);
    target.drawImage(surface, 0, 0);
  }

  // Mouse, touch, wheel and keys turn and zoom a view.
  function attachControls(canvas, view, redraw) {
    let held = null;
    const turn = (right, down) => {
      view.yaw += right;
      view.pitch = Math.max(-1.5, Math.min(1.5, view.pitch + down));
      redraw(); // browsers send pointer moves once a frame
    };
    const zoom = (factor) => {
      view.zoom = Math.max(0.5, Math.min(6, view.zoom * factor));
      redraw();
    };
    canvas.addEventListener("pointerdown", (event) => {
      held = [event.clientX, event.clientY];
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!held) return;
      turn((event.clientX - held[0]) * 0.01, (event.clientY - held[1]) * 0.01);
      held = [event.clientX, event.clientY];
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { held = null; });
    canvas.addEventListener("dblclick", () => {
      Object.assign(view, restingView(), { look: view.look, lamp: view.lamp });
      redraw();
    });
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return; // plain scrolling stays with the page
      event.preventDefault();
      zoom(Math.exp(-event.deltaY * 0.002));
    }, { passive: false });
    const keys = {
      ArrowLeft: () => turn(-0.1, 0), ArrowRight: () => turn(0.1, 0), ArrowUp: () => turn(0, -0.1),
      ArrowDown: () => turn(0, 0.1), "+": () => zoom(1.1), "-": () => zoom(1 / 1.1),
    };
    canvas.addEventListener("keydown", (event) => {
      if (!keys[event.key] || event.ctrlKey) return;
      event.preventDefault();
      keys[event.key]();
    });
  }

  return { makePart, setPositions, frameBox, restingView, draw, attachControls };
})();
