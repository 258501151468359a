// All TensorFlow operations as one translation unit: reading TensorFlow's headers takes nearly all
// of the time that compiling takes.
#include "decode/linear_model_op.cc"
#include "decode/posed_surface_op.cc"
#include "decode/vertex_normals_op.cc"
#include "rasterize/interpolate_attributes_op.cc"
#include "rasterize/rasterize_triangles_op.cc"
