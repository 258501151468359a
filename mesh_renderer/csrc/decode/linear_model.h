// A linear model: a mean plus a basis times coefficients, for a batch; and its gradient.
// Independent of TensorFlow.
#ifndef MESH_RENDERER_DECODE_LINEAR_MODEL_H_
#define MESH_RENDERER_DECODE_LINEAR_MODEL_H_

#include <cstdint>

namespace mesh_renderer {

// Values per panel of the basis: one vector register of the widest processors.
constexpr int kPanelWidth = 16;

// The basis is cut into panels of kPanelWidth values, so that a product reads memory in order, and
// once for the whole batch: with a few faces per batch, reading it takes most of the time.
struct LinearModel {
  const float* panels;  // [panel_count, component_count, kPanelWidth]; 0 beyond value_count
  const float* mean;    // [value_count]
  int64_t component_count;
  int64_t value_count;

  int64_t panel_count() const { return (value_count + kPanelWidth - 1) / kPanelWidth; }
};

// Writes the values of panels [panel_begin, panel_end) to values [batch, value_count], given
// coefficients [batch, component_count]. Results do not depend on the division of the panels.
void EvaluateLinearModel(const LinearModel& model, const float* coefficients, int64_t batch,
                         int64_t panel_begin, int64_t panel_end, float* values);

// Writes the contribution of panels [panel_begin, panel_end) to d_coefficients
// [batch, component_count], given d_values [batch, value_count].
void LinearModelGrad(const LinearModel& model, const float* d_values, int64_t batch,
                     int64_t panel_begin, int64_t panel_end, float* d_coefficients);

}  // namespace mesh_renderer

#endif  // MESH_RENDERER_DECODE_LINEAR_MODEL_H_
