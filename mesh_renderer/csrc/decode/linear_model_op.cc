// TensorFlow operations of the linear model and its gradient: checks and threads around the core.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "decode/linear_model.h"
#include "rasterize/op_support.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace mesh_renderer {
namespace {

using tensorflow::DEVICE_CPU;
using tensorflow::OpKernel;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

// Largest number of parts of the panels. A constant, because the ordered sum over parts must not
// depend on the number of threads.
constexpr int64_t kParts = 32;

Status LinearModelShape(InferenceContext* c) {
  ShapeHandle coefficients, panels, mean;
  DimensionHandle unused;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 2, &coefficients));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 3, &panels));
  TF_RETURN_IF_ERROR(c->WithValue(c->Dim(panels, 2), kPanelWidth, &unused));
  TF_RETURN_IF_ERROR(c->Merge(c->Dim(panels, 1), c->Dim(coefficients, 1), &unused));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(2), 1, &mean));
  c->set_output(0, c->Matrix(c->Dim(coefficients, 0), c->Dim(mean, 0)));
  return Ok();
}

Status LinearModelGradShape(InferenceContext* c) {
  ShapeHandle d_values, panels;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 2, &d_values));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 3, &panels));
  c->set_output(0, c->Matrix(c->Dim(d_values, 0), c->Dim(panels, 1)));
  return Ok();
}

REGISTER_OP("MeshRendererLinearModel")
    .Input("coefficients: float32")
    .Input("panels: float32")
    .Input("mean: float32")
    .Output("values: float32")
    .SetShapeFn(LinearModelShape)
    .Doc(R"doc(
Mean plus basis times coefficients, for a batch. Results do not depend on the number of threads.

Differentiable with respect to coefficients.

coefficients: [B, K]. B may be 0.
panels: [P, K, 16], the basis: panels[p, k, i] is component k of value 16 p + i; P = ceil(M / 16).
mean: [M].
values: [B, M].
)doc");

REGISTER_OP("MeshRendererLinearModelGrad")
    .Input("d_values: float32")
    .Input("panels: float32")
    .Output("d_coefficients: float32")
    .SetShapeFn(LinearModelGradShape)
    .Doc(R"doc(
Gradient of MeshRendererLinearModel.

d_values: [B, M], gradient of the loss.
panels: [P, K, 16].
d_coefficients: [B, K].
)doc");

Status CheckPanels(const Tensor& panels, int64_t value_count, LinearModel* model) {
  const int64_t wanted = (value_count + kPanelWidth - 1) / kPanelWidth;
  if (panels.dims() != 3 || panels.dim_size(0) != wanted || panels.dim_size(2) != kPanelWidth) {
    return errors::InvalidArgument("panels must have shape [", wanted, ", K, ", kPanelWidth,
                                   "], got ", panels.shape().DebugString());
  }
  *model = {panels.flat<float>().data(), nullptr, panels.dim_size(1), value_count};
  return Ok();
}

// Calls work(part, first panel, last panel + 1) for every part.
template <typename Work>
void ForParts(OpKernelContext* context, const LinearModel& model, const Work& work) {
  const int64_t panels = model.panel_count(), parts = std::min(kParts, panels);
  ParallelFor(context, parts, [&](int64_t part) {
    work(part, panels * part / parts, panels * (part + 1) / parts);
  });
}

class LinearModelOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    const Tensor &coefficients = context->input(0), &mean = context->input(2);
    LinearModel model;
    OP_REQUIRES(
        context, mean.dims() == 1,
        errors::InvalidArgument("mean must have shape [M], got ", mean.shape().DebugString()));
    OP_REQUIRES_OK(context, CheckPanels(context->input(1), mean.dim_size(0), &model));
    OP_REQUIRES(context,
                coefficients.dims() == 2 && coefficients.dim_size(1) == model.component_count,
                errors::InvalidArgument("coefficients must have shape [B, ", model.component_count,
                                        "], got ", coefficients.shape().DebugString()));
    model.mean = mean.flat<float>().data();

    const int64_t batch = coefficients.dim_size(0);
    Tensor* values = nullptr;
    OP_REQUIRES_OK(context,
                   context->allocate_output(0, TensorShape({batch, model.value_count}), &values));
    ForParts(context, model, [&](int64_t, int64_t begin, int64_t end) {
      EvaluateLinearModel(model, coefficients.flat<float>().data(), batch, begin, end,
                          values->flat<float>().data());
    });
  }
};

class LinearModelGradOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    const Tensor& d_values = context->input(0);
    LinearModel model;
    OP_REQUIRES(context, d_values.dims() == 2,
                errors::InvalidArgument("d_values must have shape [B, M], got ",
                                        d_values.shape().DebugString()));
    OP_REQUIRES_OK(context, CheckPanels(context->input(1), d_values.dim_size(1), &model));

    const int64_t batch = d_values.dim_size(0), size = batch * model.component_count;
    Tensor* d_coefficients = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, TensorShape({batch, model.component_count}),
                                                     &d_coefficients));

    // The gradient of each part, then their sum in order.
    std::vector<float> of_parts(kParts * size, 0.0f);
    ForParts(context, model, [&](int64_t part, int64_t begin, int64_t end) {
      LinearModelGrad(model, d_values.flat<float>().data(), batch, begin, end,
                      of_parts.data() + size * part);
    });
    for (int64_t i = 0; i < size; ++i) {
      float sum = 0;
      for (int64_t part = 0; part < kParts; ++part) sum += of_parts[size * part + i];
      d_coefficients->flat<float>().data()[i] = sum;
    }
  }
};

REGISTER_KERNEL_BUILDER(Name("MeshRendererLinearModel").Device(DEVICE_CPU), LinearModelOp);
REGISTER_KERNEL_BUILDER(Name("MeshRendererLinearModelGrad").Device(DEVICE_CPU), LinearModelGradOp);

}  // namespace
}  // namespace mesh_renderer
