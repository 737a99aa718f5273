#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <random>

#include "data/pack/pack.h"
#include "data/pack/texts/smiles_tokens.h"
#include "data/pack/texts/text_tokens.h"
#include "data/tokens.h"
#include "tests/data/folder.h"

namespace saddle {
namespace {

using test::error_of;
using test::Folder;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::vector<std::string> list(Tokens (*tokenize)(std::string&), std::string line) {
  const Tokens tokens = tokenize(line);
  EXPECT_EQ(tokens.problem, nullptr) << line << " at " << tokens.at;
  return {tokens.list.begin(), tokens.list.end()};
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += part;
  return out;
}

std::string text_of(const Source& source, int64_t i) {
  const torch::Tensor x = source.sample(i)["x"][0];
  return decode_tokens(source.schema["x"], std::span(x.data_ptr<int32_t>(), size_t(x.numel())));
}

std::vector<int> ids_of(const Source& source, int64_t i) {
  const torch::Tensor x = source.sample(i)["x"][0];
  return {x.data_ptr<int32_t>(), x.data_ptr<int32_t>() + x.numel()};
}

TEST(TextTokens, SplitWordsAndMarks) {
  EXPECT_THAT(list(word_tokens, "  Hello,\tworld (it's 3.14)… "),
              ElementsAre("Hello", ",", " world", " (", "it's", " 3", ".", "14", ")", "…"));
  EXPECT_THAT(list(word_tokens, "naïve Δx=5€ 日本、語"),
              ElementsAre("naïve", " Δx", "=", "5", "€", " 日本", "、", "語"));
  EXPECT_THAT(list(word_tokens, "'tis o' rock'n'roll"), ElementsAre("'", "tis", " o", "'", " rock'n'roll"));
  EXPECT_THAT(list(char_tokens, "a é😀"), ElementsAre("a", " ", "é", "😀"));
}

TEST(TextTokens, GiveTheTextBack) {
  const std::vector<std::string> pieces{"a", "Zü", "'", "’", " ", "é", "-", ".", "日", "😀", "0", "\u2014"};
  std::mt19937 random(1);
  for (int trial = 0; trial < 2000; ++trial) {
    std::string text = "x";
    for (int i = 0; i < 12; ++i) {
      const std::string& piece = pieces[random() % pieces.size()];
      if (piece != " " || !text.ends_with(' ')) text += piece;
    }
    text += "x";
    ASSERT_EQ(joined(list(word_tokens, text)), text);
    ASSERT_EQ(joined(list(char_tokens, text)), text);
  }
}

TEST(SmilesTokens, SplitMolecules) {
  EXPECT_THAT(list(smiles_tokens, "CC(=O)Oc1ccccc1"),
              ElementsAre("C", "C", "(", "=", "O", ")", "O", "c", "1", "c", "c", "c", "c", "c", "1"));
  EXPECT_THAT(list(smiles_tokens, "[nH]%10ClBr.[13C@@H2+2:7]/C=C\\F%10#N"),
              ElementsAre("[nH]", "%10", "Cl", "Br", ".", "[13C@@H2+2:7]", "/", "C", "=", "C", "\\", "F",
                          "%10", "#", "N"));
  for (const char* good :
       {"[Na+].[Cl-]", "[O--]", "C1CC1C1CC1", "C%01CC1", "[C@TH1](F)(Cl)(Br)I", "*", "[*:1]C", "[se]1cccc1",
        "[2H]O[2H]", "C=1CCCCC=1", "C(.O)C", "[Fe+3]", "[CH3-]", "[Co]", "[Sc]"})
    EXPECT_EQ(joined(list(smiles_tokens, good)), good);
}

TEST(SmilesTokens, SayWhereTheyAreMalformed) {
  const auto wrong = [](std::string line) {
    const Tokens tokens = smiles_tokens(line);
    return fmt::format("{}: {}", tokens.at, tokens.problem ? tokens.problem : "well-formed");
  };
  EXPECT_THAT(wrong("CC[nH"), StartsWith("2: a bracket"));
  EXPECT_THAT(wrong("CCx"), StartsWith("2: expected an atom"));
  EXPECT_THAT(wrong("C@C"), StartsWith("1: expected an atom"));
  EXPECT_THAT(wrong("CC(C"), StartsWith("2: a branch is opened"));
  EXPECT_THAT(wrong("CC)C"), StartsWith("2: a branch is closed"));
  EXPECT_THAT(wrong("C()C"), StartsWith("2: a branch is empty"));
  EXPECT_THAT(wrong("C1CC"), StartsWith("1: a ring"));
  EXPECT_THAT(wrong("C%1C"), StartsWith("1: expected two digits"));
  EXPECT_THAT(wrong("C%"), StartsWith("1: expected two digits"));
  EXPECT_THAT(wrong("1CC1"), StartsWith("0: a ring closure without"));
  EXPECT_THAT(wrong("C="), StartsWith("1: a bond"));
  EXPECT_THAT(wrong("C==C"), StartsWith("2: a bond"));
  EXPECT_THAT(wrong("=C"), StartsWith("0: a bond"));
  EXPECT_THAT(wrong(""), StartsWith("0: the line holds"));
  for (const char* bad : {"[]", "[Xx]", "[C", "[[C]]", "[C+H]", "[13]", "[C:]", "[H@@@]", "[CH3 ]"})
    EXPECT_THAT(wrong(bad), AllOf(StartsWith("0: "), HasSubstr("bracket"))) << bad;
}

TEST(PackText, NumbersTokensByFrequency) {
  const Folder folder;
  test::put(folder / "names.txt",
            "\xEF\xBB\xBF"
            "abba\r\n\n   \nbc\nb");
  const Source source = open_source({.source = folder / "names.txt"});
  EXPECT_EQ(describe(source.schema), "x int32 [up to 5] of 7 classes");
  EXPECT_TRUE(source.schema["x"].variable);
  EXPECT_THAT(source.schema["x"].class_names, ElementsAre("<pad>", "<bos>", "<eos>", "<unk>", "b", "a", "c"));
  ASSERT_EQ(source.count, 3);
  EXPECT_THAT(ids_of(source, 0), ElementsAre(5, 4, 4, 5, kEnd));
  EXPECT_THAT(ids_of(source, 1), ElementsAre(4, 6, kEnd));
  EXPECT_THAT(ids_of(source, 2), ElementsAre(4, kEnd));
  EXPECT_EQ(text_of(source, 0), "abba");  // also backwards
}

TEST(PackText, DecodesEverySample) {
  const Folder folder;
  std::string text;
  std::vector<std::string> lines;
  for (int i = 0; i < 3000; ++i) lines.push_back(fmt::format("line {}: {}é", i, std::string(size_t(i), 'x')));
  for (const std::string& line : lines) text += line + "\n";  // several times the reader's buffer
  const std::string path = folder / "lines.txt.gz";
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, text.data(), unsigned(text.size()));
  gzclose(file);
  for (const char* tokens : {"char", "word"}) {
    const Source source = open_source({.source = path, .tokens = tokens});
    ASSERT_EQ(source.count, 3000);
    for (int64_t i = 0; i < source.count; ++i) ASSERT_EQ(text_of(source, i), lines[size_t(i)]);
  }
}

TEST(PackText, KeepsTheMostFrequentWords) {
  const Folder folder;
  test::put(folder / "text", "the cat the dog\na the the");
  const Source source = open_source({.source = folder / "text", .tokens = "word", .vocabulary = 1});
  EXPECT_THAT(source.schema["x"].class_names, ElementsAre("<pad>", "<bos>", "<eos>", "<unk>", " the"));
  EXPECT_THAT(ids_of(source, 0), ElementsAre(kUnknown, kUnknown, 4, kUnknown, kEnd));
  EXPECT_EQ(text_of(source, 1), "<unk> the the");
}

TEST(PackText, CutsOffLongerLines) {
  const Folder folder;
  test::put(folder / "a.txt", "abc\nabcd\nabcdz");
  const Source source = open_source({.source = folder / "a.txt", .length = 4});
  EXPECT_EQ(source.schema["x"].shape, std::vector<int64_t>{4});
  EXPECT_EQ(source.provenance["truncated"], 2);
  EXPECT_EQ(source.schema["x"].classes, 8);  // z is nowhere
  EXPECT_EQ(ids_of(source, 0).back(), kEnd);
  EXPECT_EQ(ids_of(source, 1), ids_of(source, 2));
  EXPECT_EQ(text_of(source, 2), "abcd");
}

TEST(PackText, CountsWhatIsNoUtf8) {
  const Folder folder;
  const std::string path = folder / "a.txt";
  test::put(path, "abc\nab\xFF\ncd\n");
  for (const char* tokens : {"char", "word"}) {
    const Source source = open_source({.source = path, .tokens = tokens});
    EXPECT_EQ(source.count, 3);
    EXPECT_THAT(error_of([&] { source.sample(1); }),
                AllOf(HasSubstr(path + ":2: byte 3"), HasSubstr("iconv")));
    EXPECT_EQ(text_of(source, 2), "cd");
  }
  EXPECT_THAT(error_of([&] { open_source({.source = path, .tokens = "bytes"}); }), HasSubstr("--tokens"));
  test::put(path, "\n \n");
  EXPECT_THAT(error_of([&] { open_source({.source = path}); }), HasSubstr("no line"));
  test::put(path, std::string(3 << 20, 'a'));
  EXPECT_THAT(error_of([&] { open_source({.source = path}); }), HasSubstr("longer than"));
}

TEST(PackText, ReadsUtf16AndOldLineEnds) {
  const Folder folder;
  test::put(folder / "mac.txt", "ab\rcd\r\r\ne");
  const Source mac = open_source({.source = folder / "mac.txt"});
  EXPECT_EQ(mac.count, 3);
  EXPECT_EQ(text_of(mac, 1), "cd");
  const std::u16string text = u"é\r\n\U0001F600x\n";
  std::string little = "\xff\xfe", big = "\xfe\xff";
  for (const char16_t c : text) {
    little += {char(c & 255), char(c >> 8)};
    big += {char(c >> 8), char(c & 255)};
  }
  for (const std::string& bytes : {little, big}) {
    test::put(folder / "a", bytes);  // without a suffix
    const Source source = open_source({.source = folder / "a"});
    ASSERT_EQ(source.count, 2);
    EXPECT_EQ(text_of(source, 0), "é");
    EXPECT_EQ(text_of(source, 1), "\xF0\x9F\x98\x80x");
  }
}

TEST(PackSmiles, ReadsListsAndDropsLongerOnes) {
  const Folder folder;
  test::put(folder / "a.smi", "SMILES name\nCCO ethanol\nc1ccccc1\tbenzene\n\nC(C water\n[nH]1cccc1\n");
  const Source source = open_source({.source = folder / "a.smi", .length = 8});
  EXPECT_EQ(source.count, 3);  // no benzene
  EXPECT_EQ(source.provenance["dropped"], 1);
  EXPECT_EQ(text_of(source, 0), "CCO");
  EXPECT_THAT(error_of([&] { source.sample(1); }), AllOf(HasSubstr("a.smi:5: byte 2"), HasSubstr("branch")));
  EXPECT_EQ(text_of(source, 2), "[nH]1cccc1");
  EXPECT_EQ(source.schema["x"].shape, std::vector<int64_t>{8});
}

TEST(PackSmiles, TakesTheSplitOfATable) {
  const Folder folder;
  const std::string path = folder / "moses.csv";
  test::put(path, "ID,SMILES,SPLIT\n1,CCO,train\n2,\"C[N+]\",test\n\"3,\"\"x\",CO,train\n4\n");
  const Source train = open_source({.source = path});
  EXPECT_EQ(train.count, 3);
  EXPECT_EQ(text_of(train, 1), "CO");
  EXPECT_THAT(error_of([&] { train.sample(2); }), HasSubstr("moses.csv:5"));  // a row without the columns
  const Source test = open_source({.source = path, .given = {{"split", ""}}, .split = "test"});
  EXPECT_EQ(text_of(test, 0), "C[N+]");
  test::put(path, "smiles\nCCO\n,\n");
  const Source plain = open_source({.source = path});
  EXPECT_EQ(plain.count, 2);
  EXPECT_THAT(error_of([&] { plain.sample(1); }), HasSubstr("moses.csv:3: byte 1: the line holds no SMILES"));
  EXPECT_THAT(error_of([&] {
                open_source({.source = path, .given = {{"split", ""}}});
              }),
              HasSubstr("column SPLIT"));
}

TEST(PackSmiles, ReadsTablesAsOtherTablesAreRead) {
  const Folder folder;
  test::put(folder / "a.tsv", "id\tsmiles\r1\tCCO\r2\t\"C[N+]\"\r");
  const Source source = open_source({.source = folder / "a.tsv"});
  EXPECT_EQ(source.count, 2);
  EXPECT_EQ(text_of(source, 1), "C[N+]");
  test::put(folder / "b.csv", "smiles,smiles\nCCO,CC\n");
  EXPECT_THAT(error_of([&] { open_source({.source = folder / "b.csv"}); }),
              AllOf(HasSubstr("both called smiles"), HasSubstr("\"CCO\" and \"CC\"")));
}

TEST(Tokens, AreRefusedOutsideTheVocabulary) {
  const Field field{.name = "x",
                    .shape = {3},
                    .dtype = torch::kLong,
                    .classes = 5,
                    .class_names = {"<pad>", "<bos>", "<eos>", "<unk>", "a"},
                    .variable = true};
  const auto decode = [&](std::vector<int64_t> tokens) { return decode_tokens(field, tokens); };
  EXPECT_EQ(decode({1, 4, 3, 4, 0, 2, 4}), "a<unk>a");
  EXPECT_EQ(decode({}), "");
  EXPECT_THAT(error_of([&] { decode({5}); }), HasSubstr("token 5"));
  EXPECT_THAT(error_of([&] { decode({-1}); }), HasSubstr("token -1"));
}

}  // namespace
}  // namespace saddle
