// The table of importers, and the fields that most of them make.
#include "data/pack/importers.h"

namespace saddle {

const std::vector<const Importer*>& importers() {
  static const std::vector<const Importer*> table{
      // clang-format off
      &kMixtures,
      &kGlyph10,
      &kIdx,
      &kCifar,
      &kNpy,  // before all that takes any ZIP
      &kHdf5,
      &kGlyphs,
      &kNifti,
      &kSmiles,  // before other tables
      &kCsv,
      &kVideo,  // before the pictures of a folder of GIFs
      &kPairs,
      &kStyleGan,
      &kPictures,  // any folder or ZIP with a picture in it
      &kText,
      // clang-format on
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
