// A linear model: a mean plus a basis times coefficients, for a batch; and its gradient. Knows no
// TensorFlow.
#ifndef MESH_RENDERER_LINEAR_MODEL_H_
#define MESH_RENDERER_LINEAR_MODEL_H_

#include <cstdint>

namespace mesh_renderer {

// Values side by side in the basis: a vector register of the widest processors.
constexpr int kPanelWidth = 16;

// The basis is cut into panels of kPanelWidth values, so that a product reads memory in order, and
// once for the whole batch: at a few faces a batch, reading it is what takes the time.
struct LinearModel {
  const float* panels;  // [panel_count, component_count, kPanelWidth]; what exceeds value_count is 0
  const float* mean;    // [value_count]
  int64_t component_count;
  int64_t value_count;

  int64_t panel_count() const { return (value_count + kPanelWidth - 1) / kPanelWidth; }
};

// Writes values [batch, value_count] of coefficients [batch, component_count], of the panels
// [panel_begin, panel_end) only. Results do not depend on how panels are divided.
void EvaluateLinearModel(const LinearModel& model, const float* coefficients, int64_t batch, int64_t panel_begin,
                         int64_t panel_end, float* values);

// Writes d_coefficients [batch, component_count], given d_values [batch, value_count]: what the
// panels [panel_begin, panel_end) contribute to it.
void LinearModelGrad(const LinearModel& model, const float* d_values, int64_t batch, int64_t panel_begin,
                     int64_t panel_end, float* d_coefficients);

}  // namespace mesh_renderer

#endif  // MESH_RENDERER_LINEAR_MODEL_H_
