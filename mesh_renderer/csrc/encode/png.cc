#include "encode/png.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace {

constexpr int kFilterUp = 2;
constexpr int kLiterals = 256, kEndOfBlock = 256, kSymbols = 286, kMaxCodeLength = 15;
constexpr int kMinRun = 3, kMaxRun = 258;
// Tokens: a byte, a run (kRun + its length; kRun itself is the end of the block), or one byte in
// all three channels (kTriple + byte).
constexpr int kRun = 256, kTriple = kRun + kMaxRun + 1, kTokens = kTriple + 256;
constexpr uint32_t kAdlerModulus = 65521;

// A string of bits, the first bit lowest.
struct Bits {
  uint64_t value;
  int count;

  Bits Then(const Bits& next) const {
    return Bits{value | next.value << count, count + next.count};
  }
};

class BitWriter {
 public:
  explicit BitWriter(uint8_t* out) : end_(out) {}

  // Appends up to 56 bits.
  void Write(const Bits& bits) {
    pending_ |= bits.value << count_;
    count_ += bits.count;
    std::memcpy(end_, &pending_, sizeof(pending_));  // little-endian
    end_ += count_ >> 3;
    pending_ >>= count_ & ~7;
    count_ &= 7;
  }

  uint8_t* Finish() { return count_ > 0 ? end_ + 1 : end_; }

 private:
  uint8_t* end_;
  uint64_t pending_ = 0;
  int count_ = 0;
};

// Encodes the length of a run as a symbol and extra bits (RFC 1951, 3.2.5).
void RunSymbol(int length, int* symbol, Bits* extra) {
  if (length == kMaxRun) {
    *symbol = 285;
    *extra = Bits{0, 0};
    return;
  }
  const int offset = length - kMinRun;
  int extra_count = 0;
  while (offset >> (extra_count + 3) > 0) ++extra_count;
  *symbol = 257 + 4 * extra_count + (offset >> extra_count);
  *extra = Bits{static_cast<uint64_t>(offset & ((1 << extra_count) - 1)), extra_count};
}

// Returns the length of each symbol's Huffman code, 0 for symbols that do not occur. Frequencies
// are halved, rounded up, until no code is longer than kMaxCodeLength.
std::vector<int> CodeLengths(std::vector<int64_t> frequencies) {
  std::vector<int> symbols;
  for (int s = 0; s < kSymbols; ++s) {
    if (frequencies[s] > 0) symbols.push_back(s);
  }
  std::vector<int> lengths(kSymbols, 0);
  for (int longest = kMaxCodeLength + 1; longest > kMaxCodeLength;) {
    std::sort(symbols.begin(), symbols.end(), [&frequencies](int a, int b) {
      return frequencies[a] != frequencies[b] ? frequencies[a] < frequencies[b] : a < b;
    });

    // Build the tree: leaves, then nodes that join the two lightest without a parent. Nodes are
    // created in order of weight, so that two queues suffice.
    const int leaves = static_cast<int>(symbols.size());
    std::vector<int64_t> weights;
    for (int s : symbols) weights.push_back(frequencies[s]);
    std::vector<int> parents(2 * leaves - 1, 0), depths(2 * leaves - 1, 0);
    for (int leaf = 0, node = leaves; static_cast<int>(weights.size()) < 2 * leaves - 1;) {
      int64_t weight = 0;
      for (int child = 0; child < 2; ++child) {
        const bool leaf_first = leaf < leaves && (node == static_cast<int>(weights.size()) ||
                                                  weights[leaf] <= weights[node]);
        const int lightest = leaf_first ? leaf++ : node++;
        weight += weights[lightest];
        parents[lightest] = static_cast<int>(weights.size());
      }
      weights.push_back(weight);
    }

    // The depth of a leaf is the length of its code.
    for (int i = 2 * leaves - 3; i >= 0; --i) depths[i] = depths[parents[i]] + 1;
    longest = 0;
    for (int i = 0; i < leaves; ++i) {
      lengths[symbols[i]] = depths[i];
      longest = std::max(longest, depths[i]);
      frequencies[symbols[i]] = (frequencies[symbols[i]] + 1) / 2;
    }
  }
  return lengths;
}

// Returns the canonical Huffman codes of the given lengths (RFC 1951, 3.2.2).
std::vector<Bits> CanonicalCodes(const std::vector<int>& lengths) {
  std::vector<Bits> codes(lengths.size(), Bits{0, 0});
  uint32_t code = 0;
  for (int length = 1; length <= kMaxCodeLength; ++length, code <<= 1) {
    for (size_t s = 0; s < lengths.size(); ++s) {
      if (lengths[s] != length) continue;
      for (int bit = 0; bit < length; ++bit) {
        codes[s].value |= static_cast<uint64_t>(code >> (length - 1 - bit) & 1) << bit;
      }
      codes[s].count = length;
      ++code;
    }
  }
  return codes;
}

// Appends the tokens of `count` samples; each sample stands for `repeat` equal bytes.
void Tokenize(const uint8_t* samples, int count, int repeat, std::vector<uint16_t>* tokens) {
  const int literal = repeat == 1 ? 0 : kTriple;
  const int least = repeat == 1 ? kMinRun : 1;  // further equal samples from which a run is shorter
  for (int i = 0; i < count;) {
    int same = 0;
    while (i + 1 + same < count && samples[i + 1 + same] == samples[i]) ++same;
    tokens->push_back(static_cast<uint16_t>(literal + samples[i]));
    ++i;
    if (same < least) continue;

    i += same;
    for (int left = same * repeat; left > 0;) {
      // The rest must not be one or two bytes, which are too short for a run.
      const int run = left <= kMaxRun ? left : std::min(kMaxRun, left - kMinRun);
      tokens->push_back(static_cast<uint16_t>(kRun + run));
      left -= run;
    }
  }
}

// Returns the bits of every token, by Huffman codes of the tokens' frequencies; writes the block's
// header with these codes.
std::vector<Bits> WriteCodes(const std::vector<uint16_t>& tokens, BitWriter* writer) {
  // 1. Frequencies of the symbols.
  std::vector<int64_t> occurrences(kTokens, 0), frequencies(kSymbols, 0);
  for (uint16_t token : tokens) ++occurrences[token];
  frequencies[kEndOfBlock] = 1;
  std::vector<int> symbols(kMaxRun + 1);
  std::vector<Bits> extras(kMaxRun + 1);
  for (int run = kMinRun; run <= kMaxRun; ++run) {
    RunSymbol(run, &symbols[run], &extras[run]);
    frequencies[symbols[run]] += occurrences[kRun + run];
  }
  for (int byte = 0; byte < kLiterals; ++byte) {
    frequencies[byte] += occurrences[byte] + 3 * occurrences[kTriple + byte];
  }
  const std::vector<int> lengths = CodeLengths(frequencies);

  // 2. The header (RFC 1951, 3.2.7). Of the code length codes, those for repetitions are unused,
  // and those for the lengths 0 to 15 have 4 bits.
  writer->Write(Bits{1, 1});  // the last block
  writer->Write(Bits{2, 2});  // with dynamic codes
  writer->Write(Bits{kSymbols - 257, 5});
  writer->Write(Bits{0, 5});       // one distance code
  writer->Write(Bits{19 - 4, 4});  // all code length codes
  for (int i = 0; i < 19; ++i) writer->Write(Bits{i < 3 ? 0u : 4u, 3});
  const std::vector<Bits> length_codes = CanonicalCodes(std::vector<int>(kMaxCodeLength + 1, 4));
  for (int length : lengths) writer->Write(length_codes[length]);
  writer->Write(length_codes[1]);  // distance 1, the only one

  // 3. The bits of the tokens.
  const std::vector<Bits> codes = CanonicalCodes(lengths);
  std::vector<Bits> bits(kTokens, Bits{0, 0});
  for (int byte = 0; byte < kLiterals; ++byte) {
    bits[byte] = codes[byte];
    bits[kTriple + byte] = codes[byte].Then(codes[byte]).Then(codes[byte]);
  }
  for (int run = kMinRun; run <= kMaxRun; ++run) {
    bits[kRun + run] = codes[symbols[run]].Then(extras[run]).Then(Bits{0, 1});
  }
  bits[kRun] = codes[kEndOfBlock];
  return bits;
}

// Continues the Adler-32 checksum (low, high) over `count` bytes, each of them `repeat` times.
void ContinueAdler(const uint8_t* bytes, int count, int repeat, uint32_t* low, uint32_t* high) {
  uint32_t sum = 0;
  uint64_t weighted = 0;
  for (int i = 0; i < count; ++i) {
    sum += bytes[i];
    weighted += static_cast<uint32_t>(bytes[i]) * static_cast<uint32_t>(count - i);
  }
  // The copies of byte i are repeat (count - i), ..., repeat (count - i) - repeat + 1 from the end.
  const uint64_t total = static_cast<uint64_t>(repeat) * repeat * weighted -
                         static_cast<uint64_t>(repeat) * (repeat - 1) / 2 * sum;
  *high = static_cast<uint32_t>((*high + static_cast<uint64_t>(count) * repeat * *low + total) %
                                kAdlerModulus);
  *low = (*low + repeat * sum) % kAdlerModulus;
}

}  // namespace

int64_t mesh_renderer_compress_png(const uint8_t* picture, int height, int width, int gray,
                                   uint8_t* out) {
  // 1. Tokens and checksum, row by row.
  const int repeat = gray ? 3 : 1, samples = gray ? width : 3 * width;
  const uint8_t filter = kFilterUp;
  std::vector<uint8_t> difference(samples);
  std::vector<uint16_t> tokens;
  tokens.reserve(static_cast<size_t>(samples + 1) * height + 1);
  uint32_t low = 1, high = 0;
  for (int row = 0; row < height; ++row) {
    const uint8_t* here = picture + static_cast<int64_t>(samples) * row;
    for (int i = 0; i < samples; ++i) {
      difference[i] = static_cast<uint8_t>(here[i] - (row > 0 ? here[i - samples] : 0));
    }
    tokens.push_back(filter);
    ContinueAdler(&filter, 1, 1, &low, &high);
    Tokenize(difference.data(), samples, repeat, &tokens);
    ContinueAdler(difference.data(), samples, repeat, &low, &high);
  }
  tokens.push_back(kRun);  // the end of the block

  // 2. The zlib stream: header (a window of 32 KiB, fastest level), block, checksum.
  out[0] = 0x78;
  out[1] = 0x01;
  BitWriter writer(out + 2);
  const std::vector<Bits> bits = WriteCodes(tokens, &writer);
  for (uint16_t token : tokens) writer.Write(bits[token]);
  uint8_t* end = writer.Finish();
  const uint32_t checksum = high << 16 | low;
  for (int byte = 3; byte >= 0; --byte) *end++ = static_cast<uint8_t>(checksum >> (8 * byte));
  return end - out;
}
