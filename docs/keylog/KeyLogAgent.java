import java.io.FileOutputStream;
import java.lang.instrument.ClassFileTransformer;
import java.lang.instrument.Instrumentation;
import java.lang.reflect.Field;
import java.security.ProtectionDomain;
import java.util.*;
import java.util.jar.JarFile;
import javax.crypto.SecretKey;
import jdk.internal.org.objectweb.asm.*;

/** Appends the secrets of the JDK's own TLS to the file that is the agent's argument, as SSLKEYLOGFILE does elsewhere. */
public class KeyLogAgent {
    static FileOutputStream log;

    public static void premain(String file, Instrumentation inst) throws Exception {
        // The JDK's classes can call this class only if the bootstrap loader has it.
        String jar = KeyLogAgent.class.getProtectionDomain().getCodeSource().getLocation().getPath();
        inst.appendToBootstrapClassLoaderSearch(new JarFile(jar));
        Class<?> hook = Class.forName("KeyLogAgent", true, null);
        hook.getDeclaredMethod("start", String.class, Instrumentation.class).invoke(null, file, inst);
    }

    public static void start(String file, Instrumentation inst) throws Exception {
        log = new FileOutputStream(file, true);
        inst.addTransformer(new ClassFileTransformer() {
            public byte[] transform(Module m, ClassLoader l, String name, Class<?> c, ProtectionDomain d, byte[] bytes) {
                return name.equals("sun/security/ssl/SSLSecretDerivation")
                    || name.equals("sun/security/ssl/SSLMasterKeyDerivation$LegacyMasterKeyDerivation") ? hooked(bytes) : null;
            }
        });
    }

    /** Calls {@link #derived} before each return of deriveKey, and {@link #made} at the end of each constructor. */
    static byte[] hooked(byte[] bytes) {
        ClassWriter out = new ClassWriter(ClassWriter.COMPUTE_MAXS);
        new ClassReader(bytes).accept(new ClassVisitor(Opcodes.ASM8, out) {
            public MethodVisitor visitMethod(int access, String name, String type, String signature, String[] throwing) {
                MethodVisitor next = super.visitMethod(access, name, type, signature, throwing);
                boolean made = name.equals("<init>");
                return !made && !name.equals("deriveKey") ? next : new MethodVisitor(Opcodes.ASM8, next) {
                    public void visitInsn(int code) {
                        if (made && code == Opcodes.RETURN) {
                            visitVarInsn(Opcodes.ALOAD, 0);
                            visitVarInsn(Opcodes.ALOAD, 1);
                            visitMethodInsn(Opcodes.INVOKESTATIC, "KeyLogAgent", "made",
                                "(Ljava/lang/Object;Ljava/lang/Object;)V", false);
                        } else if (!made && code == Opcodes.ARETURN) {
                            super.visitInsn(Opcodes.DUP);
                            visitVarInsn(Opcodes.ALOAD, 0);
                            visitVarInsn(Opcodes.ALOAD, 1);
                            visitMethodInsn(Opcodes.INVOKESTATIC, "KeyLogAgent", "derived",
                                "(Ljava/lang/Object;Ljava/lang/Object;Ljava/lang/String;)V", false);
                        }
                        super.visitInsn(code);
                    }
                };
            }
        }, 0);
        return out.toByteArray();
    }

    static final Map<String, String> LABELS = Map.of(
        "MasterSecret", "CLIENT_RANDOM", "TlsMasterSecret", "CLIENT_RANDOM",
        "TlsClientEarlyTrafficSecret", "CLIENT_EARLY_TRAFFIC_SECRET",
        "TlsClientHandshakeTrafficSecret", "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "TlsServerHandshakeTrafficSecret", "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "TlsClientAppTrafficSecret", "CLIENT_TRAFFIC_SECRET_0",
        "TlsServerAppTrafficSecret", "SERVER_TRAFFIC_SECRET_0");

    /** By object that derives keys: the handshake for which it does. */
    static final Map<Object, Object> handshakes = Collections.synchronizedMap(new WeakHashMap<>());

    public static void made(Object derivation, Object handshake) {
        handshakes.put(derivation, handshake);
    }

    public static void derived(Object key, Object derivation, String algorithm) {
        String label = LABELS.get(algorithm);
        if (label == null) return;
        try {
            Object random = get(handshakes.get(derivation), "clientHelloRandom");
            HexFormat hex = HexFormat.of();
            String line = label + " " + hex.formatHex((byte[]) get(random, "randomBytes")) + " "
                + hex.formatHex(((SecretKey) key).getEncoded()) + "\n";
            synchronized (log) { log.write(line.getBytes()); }
        } catch (Exception e) {
            System.err.println("KeyLogAgent: " + e);
        }
    }

    static Object get(Object object, String name) throws Exception {
        for (Class<?> c = object.getClass(); c != null; c = c.getSuperclass()) {
            for (Field field : c.getDeclaredFields()) {
                if (field.getName().equals(name)) { field.setAccessible(true); return field.get(object); }
            }
        }
        throw new NoSuchFieldException(name);
    }
}
