"""Well-formed but invalid frozen graphs and checkpoints.

A forgery is a function of a random state and the bytes of the whole file that returns other bytes.
"""

import struct

import numpy as np

from utils.tf_compat import tf

# Frozen graphs


def _graph(change):
    def forge(random, data):
        graph_def = tf.GraphDef()
        graph_def.ParseFromString(data)
        change(random, graph_def)
        return graph_def.SerializeToString(deterministic=True)

    return forge


def _node(graph_def, op, name, inputs=(), **attributes):
    node = graph_def.node.add(op=op, name=name)
    node.input.extend(inputs)
    for key, value in attributes.items():
        if isinstance(value, bytes):
            node.attr[key].s = value
        elif isinstance(value, list):
            node.attr[key].list.type.extend(value)
        elif isinstance(value, bool):
            node.attr[key].b = value
        else:
            node.attr[key].type = value
    return node


def _constant(graph_def, name, value, shape=None):
    node = _node(
        graph_def,
        "Const",
        name,
        dtype=tf.as_dtype(np.asarray(value).dtype).as_datatype_enum
        if not isinstance(value, bytes)
        else tf.string.as_datatype_enum,
    )
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    if shape is not None:
        proto = node.attr["value"].tensor
        del proto.tensor_shape.dim[:]
        for size in shape:
            proto.tensor_shape.dim.add(size=size)
    return node


def _behind_output(graph_def, *control):
    """Make the first output wait for further nodes."""
    wanted = [node for node in graph_def.node if node.name in ("coeff", "landmark")][0]
    wanted.input.extend("^" + name for name in control)


def _reads_a_file(random, graph_def):
    _constant(graph_def, "path", b"/etc/passwd")
    _node(graph_def, "ReadFile", "read", ["path"])
    _behind_output(graph_def, "read")


def _writes_a_file(random, graph_def):
    _constant(graph_def, "path", b"../outside/written")
    _constant(graph_def, "content", b"owned")
    _node(graph_def, "WriteFile", "write", ["path", "content"])
    _behind_output(graph_def, "write")


def _calls_python(random, graph_def):
    node = _node(graph_def, "PyFunc", "call", token=b"pyfunc_0")
    node.attr["Tin"].list.SetInParent()
    node.attr["Tout"].list.type.append(tf.float32.as_datatype_enum)
    _behind_output(graph_def, "call")


def _in_a_function(random, graph_def):
    function = graph_def.library.function.add()
    function.signature.name = "harmless"
    function.node_def.add(op="ReadFile", name="read")
    _node(graph_def, "harmless", "call")
    _behind_output(graph_def, "call")


def _huge_constant(random, graph_def):
    _constant(graph_def, "big", np.float32(1), shape=[1 << 15, 1 << 16])
    _node(graph_def, "Identity", "keep", ["big"], T=tf.float32.as_datatype_enum)
    _behind_output(graph_def, "keep")


def _huge_fill(random, graph_def):
    _constant(graph_def, "dims", np.int32([1 << 15, 1 << 16]))
    _constant(graph_def, "one", np.float32(1))
    _node(
        graph_def,
        "Fill",
        "big",
        ["dims", "one"],
        T=tf.float32.as_datatype_enum,
        index_type=tf.int32.as_datatype_enum,
    )
    _behind_output(graph_def, "big")


def _huge_padding(random, graph_def):
    _constant(graph_def, "paddings", np.int32([[1 << 15, 0], [1 << 16, 0]]))
    _constant(graph_def, "one", np.float32([[1]]))
    _node(
        graph_def,
        "Pad",
        "big",
        ["one", "paddings"],
        T=tf.float32.as_datatype_enum,
        Tpaddings=tf.int32.as_datatype_enum,
    )
    _behind_output(graph_def, "big")


def _endless(random, graph_def):
    """A loop that never ends."""
    kind = tf.bool.as_datatype_enum
    _constant(graph_def, "true", True)
    _node(graph_def, "Enter", "enter", ["true"], T=kind, frame_name=b"loop")
    _node(graph_def, "Merge", "merge", ["enter", "next"], T=kind).attr["N"].i = 2
    _node(graph_def, "LoopCond", "condition", ["merge"])
    _node(graph_def, "Switch", "switch", ["merge", "condition"], T=kind)
    _node(graph_def, "NextIteration", "next", ["switch:1"], T=kind)
    _node(graph_def, "Exit", "exit", ["switch"], T=kind)
    _behind_output(graph_def, "exit")


def _cyclic(random, graph_def):
    for node in graph_def.node:
        if len(node.input) and not node.name.startswith(("coeff", "landmark")):
            node.input[0] = [
                other.name for other in graph_def.node if other.name in ("coeff", "landmark")
            ][0]
            return


def _first_constant(graph_def):
    return [
        node
        for node in graph_def.node
        if node.op == "Const" and node.attr["value"].tensor.dtype == 1
    ][-1]


def _nan_weights(random, graph_def):
    node = _first_constant(graph_def)
    values = tf.make_ndarray(node.attr["value"].tensor) * np.nan
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values))


def _weights_of(kind):
    def change(random, graph_def):
        node = _first_constant(graph_def)
        node.attr["value"].tensor.CopyFrom(
            tf.make_tensor_proto(tf.make_ndarray(node.attr["value"].tensor).astype(kind))
        )
        node.attr["dtype"].type = tf.as_dtype(kind).as_datatype_enum

    return change


def _weights_shaped(random, graph_def):
    node = _first_constant(graph_def)
    values = tf.make_ndarray(node.attr["value"].tensor)
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values.reshape(-1)[:-1]))


def _negative_shape(random, graph_def):
    for dimension in _first_constant(graph_def).attr["value"].tensor.tensor_shape.dim:
        dimension.size = -random.randint(1, 9)


def _without(name):
    def change(random, graph_def):
        kept = [node for node in graph_def.node if node.name != name]
        del graph_def.node[:]
        graph_def.node.extend(kept)

    return change


def _renamed(random, graph_def):
    graph_def.node[random.randint(len(graph_def.node))].op = "NoSuchOperation"


def _attribute_missing(random, graph_def):
    with_attributes = [node for node in graph_def.node if len(node.attr)]
    node = with_attributes[random.randint(len(with_attributes))]
    del node.attr[sorted(node.attr)[random.randint(len(node.attr))]]


def _rewired(random, graph_def):
    nodes = [node for node in graph_def.node if node.input]
    node = nodes[-random.randint(min(2, len(nodes))) - 1]
    node.input[0] = graph_def.node[random.randint(len(graph_def.node))].name


def _doubled(random, graph_def):
    graph_def.node.extend([graph_def.node[random.randint(len(graph_def.node))]])


def _device(random, graph_def):
    for node in graph_def.node:
        node.device = "/job:elsewhere/task:7/device:GPU:9"


GRAPHS = {
    name: _graph(change)
    for name, change in {
        "reads a file": _reads_a_file,
        "writes a file": _writes_a_file,
        "calls Python": _calls_python,
        "hides in a function": _in_a_function,
        "a constant of eight gigabytes": _huge_constant,
        "a filling of eight gigabytes": _huge_fill,
        "a padding of eight gigabytes": _huge_padding,
        "an endless loop": _endless,
        "a cycle": _cyclic,
        "NaN weights": _nan_weights,
        "weights of float64": _weights_of(np.float64),
        "weights of int32": _weights_of(np.int32),
        "weights of another shape": _weights_shaped,
        "a negative shape": _negative_shape,
        "no input": _without("input_imgs"),
        "no output": _without("coeff"),
        "an unknown operation": _renamed,
        "an attribute missing": _attribute_missing,
        "wired otherwise": _rewired,
        "a name twice": _doubled,
        "another machine": _device,
    }.items()
}
GRAPHS["an empty graph"] = lambda random, data: tf.GraphDef().SerializeToString()


# Checkpoints: the index is a table of checked blocks, as LevelDB writes them

_FOOTER, _TRAILER = 48, 5  # bytes; a trailer is the block's type and its masked CRC-32C


def _crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC = _crc_table()


def _masked_crc(data):
    crc = 0xFFFFFFFF
    for byte in bytearray(data):
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 255]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _varint(data, at):
    value = shift = 0
    while True:
        byte = bytearray(data[at : at + 1])[0]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _data_blocks(data):
    """Return (offset, size) of the blocks with the entries."""
    at = len(data) - _FOOTER
    _, at = _varint(data, at)
    _, at = _varint(data, at)
    start, at = _varint(data, at)
    size, at = _varint(data, at)
    block, blocks, at = data[start : start + size], [], 0
    restarts = struct.unpack("<I", block[-4:])[0]
    while at < len(block) - 4 * (restarts + 1):
        _, at = _varint(block, at)
        key_size, at = _varint(block, at)
        value_size, at = _varint(block, at)
        offset, after = _varint(block, at + key_size)
        blocks.append((offset, _varint(block, after)[0]))
        at += key_size + value_size
    return blocks


def _resealed(damage):
    """Damage the entries of an index and make its checksums right again, as an attacker would."""

    def forge(random, data):
        changed = bytearray(data)
        for offset, size in _data_blocks(data):
            changed[offset : offset + size] = damage(random, changed[offset : offset + size])
            seal = struct.pack("<I", _masked_crc(changed[offset : offset + size + 1]))
            changed[offset + size + 1 : offset + size + _TRAILER] = seal
        return bytes(changed)

    return forge


def _flips(count):
    def flip(random, block):
        for position in random.randint(0, len(block), count):
            block[position] ^= 1 << random.randint(8)
        return block

    return flip


def _grown(random, block):
    """Every dimension of 64 channels becomes one of 127."""
    return block.replace(b"\x12\x02\x08\x40", b"\x12\x02\x08\x7f")


def _negative(random, block):
    """Sizes and offsets become ten bytes of ones where they fit: negative numbers."""
    position = random.randint(max(1, len(block) - 10))
    block[position : position + 10] = b"\xff" * 9 + b"\x01"
    return block


CHECKPOINT_INDICES = {
    "other names": _resealed(lambda random, block: block.replace(b"fc-", b"fd-")),
    "other sizes": _resealed(_grown),
    "negative numbers": _resealed(_negative),
    "one bit flipped, resealed": _resealed(_flips(1)),
    "4 bits flipped, resealed": _resealed(_flips(4)),
    "32 bits flipped, resealed": _resealed(_flips(32)),
    "one bit flipped, resealed, again": _resealed(_flips(1)),
    "2 bits flipped, resealed": _resealed(_flips(2)),
}


def _nan(random, data):
    return np.full(len(data) // 4, np.nan, "<f4").tobytes()


CHECKPOINT_DATA = {
    "NaN": _nan,
    "huge numbers": lambda random, data: np.full(len(data) // 4, 1e38, "<f4").tobytes(),
}
