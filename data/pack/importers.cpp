// The table of importers, and the fields that most of them make.
#include "data/pack/importers.h"

namespace saddle {

const std::vector<const Importer*>& importers() {
  static const std::vector<const Importer*> table{
      &kMixtures,
      &kIdx,
      &kCifar,
      &kNpy,
      &kHdf5,
      &kCsv,
      &kPictures,
  };
  return table;
}

Field image_field(const std::string& name, int64_t channels, ImageSize size, int64_t bits) {
  return {.name = name,
          .shape = {channels, size.height, size.width},
          .dtype = bits == 16 ? torch::kUInt16 : torch::kByte,
          .class_names = {}};
}

Field label_field(int64_t classes, const std::vector<std::string>& names) {
  return {.name = "label", .shape = {}, .dtype = torch::kLong, .classes = classes, .class_names = names};
}

}  // namespace saddle
