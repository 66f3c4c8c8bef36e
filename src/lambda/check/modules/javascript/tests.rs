use super::*;

fn exported(text: &str) -> Vec<String> {
    names(text.as_bytes()).into_iter().collect()
}

#[test]
fn every_kind_of_export_is_found() {
    for (text, expected) in [
        ("export const handler = async () => {};", &["handler"][..]),
        ("export async function handler() {}\nexport class A {}", &["A", "handler"]),
        ("const a = 1; export { a, a as handler, a as 'x y' };", &["a", "handler", "x y"]),
        ("export { handler } from './other.mjs'; export * as ns from './x.mjs';", &["handler", "ns"]),
        ("export const { a, b: [handler], ...c } = f(), d = 1;", &["a", "c", "d", "handler"]),
        ("await f(); export const a = await g();", &["a"]),
        ("exports.handler = async () => {};", &["handler"]),
        ("module.exports.handler = f; exports['b'] = g;", &["b", "handler"]),
        ("module['exports'].a = f; module . exports . b = g;", &["a", "b"]),
        ("module.exports = { handler, b: 1, 'c': 2, d() {} };", &["b", "c", "d", "handler"]),
        ("exports = module.exports = { handler };", &["handler"]),
        ("exports.a = exports.handler = void 0;", &["a", "handler"]),
        ("({ x: exports.a, y: [exports.b] } = c); exports.d ||= 1;", &["a", "b", "d"]),
        ("Object.defineProperty(exports, 'handler', { get() { return 1; } });", &["handler"]),
        ("this.handler = f; function g() { this.other = 1; }", &["handler"]),
        ("(0, exports.a)(); if (require.main === module) exports.b = 1;", &["a", "b"]),
        ("'use strict';\nconst local = 1;\nif (typeof module !== 'undefined') f(module.id);", &[]),
    ] {
        assert_eq!(exported(text), expected, "{text}");
    }
}

#[test]
fn an_exported_function_has_no_further_names() {
    for (text, expected) in [
        ("export default async () => {};", &["default"][..]),
        ("export default async function handler() {}", &["default"]),
        ("const handler = async () => {};\nexport default handler;", &["default"]),
        ("export default { handler };", &["default", "handler"]),
        ("export default make();", &["*", "default"]),
        ("const handler = make();\nexport default handler;", &["*", "default"]),
        ("module.exports = async () => {};", &[]),
        ("function handler() {}\nmodule.exports = handler;", &[]),
        ("function handler() {}\nhandler.handler = handler;\nmodule.exports = handler;", &["*"]),
        ("let handler = () => {};\nhandler = { handler };\nmodule.exports = handler;", &["*"]),
    ] {
        assert_eq!(exported(text), expected, "{text}");
    }
}

#[test]
fn exports_in_the_output_of_compilers_and_bundlers_are_found() {
    let typescript = r#"
        "use strict";
        var __awaiter = (this && this.__awaiter) || function (thisArg, f) { return this.f(f); };
        Object.defineProperty(exports, "__esModule", { value: true });
        exports.handler = void 0;
        const handler = (e) => __awaiter(void 0, function* () { return e; });
        exports.handler = handler;"#;
    assert_eq!(exported(typescript), ["__esModule", "handler"]);
    let es_bundle = r#"
        var require_x = __commonJS({ "x.js"(exports, module) { module.exports = { y: 1 }; } });
        var handler = async () => {};
        export { handler };"#;
    assert_eq!(exported(es_bundle), ["handler"]);
    let esbuild = r#"
        var src_exports = {};
        __export(src_exports, { handler: () => handler });
        module.exports = __toCommonJS(src_exports);
        var handler = async () => {};
        0 && (module.exports = { handler });"#;
    assert_eq!(exported(esbuild), ["*", "handler"]);
    for text in [
        "(() => { var __webpack_exports__ = {}; module.exports = __webpack_exports__; })();",
        "var e = exports; for (var i in n) e[i] = n[i];",
        "module.exports = (() => { var m = { 1: (module, exports, r) => {} }; })();",
        "(function (root, factory) { factory(root); }(this, function (e) { e.handler = 1; }));",
        "$parcel$export(module.exports, 'handler', () => $a);",
        "_export(exports, { handler: function () { return handler; } });",
    ] {
        assert!(exported(text).contains(&"*".to_owned()), "{text}");
    }
}

#[test]
fn dynamic_exports_match_any_name() {
    for text in [
        "module.exports = require('./other');",
        "module.exports = { ...other };",
        "module.exports = { [name]: 1 };",
        "export * from './other.mjs';",
        "exports[name] = 1;",
        "module[name] = 1;",
        "const self = this;",
        "const { exports: e } = module;",
        "f({ exports });",
        "eval('exports.handler = 1');",
        "__exportStar(require('./other'), exports);",
        "(function (e) { e.handler = 1; })(exports);",
        "(function () { this.handler = 1; }).call(this);",
        "Object.assign(module.exports, other);",
        "export const handler = ;",
    ] {
        assert!(exported(text).contains(&"*".to_owned()), "{text}");
    }
}
