//! A program for 32-bit UEFI, made by hand: Debian has no 32-bit loader that could show that one was started.

/// Alignment of the section in the file and in memory.
const PAGE: u32 = 0x1000;

/// A program that writes `text` to the console and switches the machine off.
pub fn program(text: &str) -> Vec<u8> {
    let code = code(text);
    let mut file = b"MZ".to_vec();
    file.resize(60, 0);
    file.extend(64_u32.to_le_bytes()); // where the header is
    file.extend(b"PE\0\0");
    file.extend(halves(&[0x014c, 1])); // for i386, one section
    file.extend(words(&[0, 0, 0])); // time, symbols
    file.extend(halves(&[224, 0x0102])); // size of the optional header; executable, 32 bits, may be moved
    file.extend(halves(&[0x010b, 0])); // PE32
    file.extend(words(&[PAGE, 0, 0, PAGE, PAGE, 0])); // code, data, no data; entry, base of code, of data
    file.extend(words(&[0, PAGE, PAGE])); // image base, alignments
    file.extend(words(&[0, 0, 0, 0])); // versions
    file.extend(words(&[2 * PAGE, PAGE, 0])); // image, headers, checksum
    file.extend(halves(&[10, 0])); // an EFI application
    file.extend(words(&[0, 0, 0, 0, 0, 16])); // stack, heap, flags; sixteen directories
    file.extend([0; 16 * 8]); // all empty
    file.extend(b".text\0\0\0");
    file.extend(words(&[PAGE, PAGE, PAGE, PAGE, 0, 0, 0])); // in memory and in the file; no relocations
    file.extend(0xe000_0020_u32.to_le_bytes()); // code, may be executed, read and written
    file.resize(PAGE as usize, 0);
    file.extend(code);
    file.resize(2 * PAGE as usize, 0);
    file
}

/// The entry point, `(image, system table)` by the C convention, and the text behind it. It runs at any address.
fn code(text: &str) -> Vec<u8> {
    let mut code = vec![
        0x8b, 0x44, 0x24, 0x08, // mov eax, [esp+8]    system table
        0x8b, 0x40, 0x2c, //       mov eax, [eax+44]   its ConOut
        0xe8, 0, 0, 0, 0,    //       call next
        0x59, //                   next: pop ecx
        0x8d, 0x49, 0x1f, //       lea ecx, [ecx+text-next]
        0x51, //                   push ecx
        0x50, //                   push eax
        0xff, 0x50, 0x04, //       call [eax+4]        OutputString(ConOut, text)
        0x83, 0xc4, 0x08, //       add esp, 8
        0x8b, 0x44, 0x24, 0x08, // mov eax, [esp+8]
        0x8b, 0x40, 0x38, //       mov eax, [eax+56]   its RuntimeServices
        0x6a, 0x00, //             push 0              no data
        0x6a, 0x00, //             push 0              of no length
        0x6a, 0x00, //             push 0              success
        0x6a, 0x02, //             push 2              shutdown
        0xff, 0x50, 0x40, //       call [eax+64]       ResetSystem
        0xc3, //                   ret
    ];
    assert_eq!(code.len(), 12 + 0x1f, "the distance from `next` to the text");
    code.extend(text.encode_utf16().chain([13, 10, 0]).flat_map(u16::to_le_bytes));
    code
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn halves(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
