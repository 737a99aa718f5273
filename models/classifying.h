// What classifiers of images share: the classes that the data tell, and how samples are drawn.
#pragma once

#include "models/system.h"

namespace saddle {

// Of the data's field "label". Exit::data if there is none, or but one class.
int64_t classes_to_tell(const Schema& data);

// By which a sum over this rank's samples becomes a mean, also where it has none.
double rows(const Step& step);

// Of scores [B, classes] against the batch's labels: summed where they are known (not -1), divided by all
// samples.
torch::Tensor cross_entropy(const Step& step, const torch::Tensor& scores);

// Sets `given` to the images, `target` to "label", and `sample` to the net in evaluation mode, which makes
// scores [B, classes] of them: "probability" [B, classes] and "label" [B].
void tell_classes(System& system, const Net& net, const Field& image);

}  // namespace saddle
